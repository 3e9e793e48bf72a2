// LoRA adapters: a model that runs with them gives the logits of one whose weights were changed in
// its file; whatever the batches and the CPU target; and files that do not fit are refused.
#include <map>
#include <random>

#include "gguf/writer.h"
#include "kernels/tensor_type.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::kIds;
using testing::normalised_error;
using testing::same_bits;

const std::string kStored = std::string(tests::kSourceDir) + "/tests/data/archs/";
constexpr uint32_t kF32 = 0;
constexpr uint64_t kRank = 3;
constexpr float kAlpha = 6.0F;  // so that products count twice

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

gguf::File open_file(const std::string& path) { return gguf::File::open(path).value(); }

// The weights that can be adapted, by name.
std::map<std::string, runtime::TensorDecl> adaptable(const gguf::File& file) {
  auto spec = models::build_spec(file).value();
  std::map<std::string, runtime::TensorDecl> found;
  runtime::for_each_tensor(spec, [&](runtime::TensorDecl& tensor, bool is_matrix) {
    const std::string& name = tensor.name;
    const bool fixed = name.find("attn_k_b") != std::string::npos ||
                       name.find("attn_v_b") != std::string::npos ||
                       name.find("position_embd") != std::string::npos ||
                       name.find("token_types") != std::string::npos ||
                       (spec.layers[0].ngram && name == spec.layers[0].ngram->table.name);
    if (is_matrix && !fixed && file.find_tensor(name) != nullptr) found.emplace(name, tensor);
  });
  return found;
}

struct Factors {
  std::array<uint64_t, 3> a_dims, b_dims;
  std::vector<float> a, b;
};

std::vector<float> random_values(std::mt19937& random, uint64_t n) {
  std::uniform_real_distribution<float> spread(-0.1F, 0.1F);
  std::vector<float> values(n);
  for (float& value : values) value = spread(random);
  return values;
}

// An adapter of every weight. Of the embedding A holds a row for each token.
std::map<std::string, Factors> make_factors(const gguf::File& file, uint32_t seed) {
  std::mt19937 random(seed);
  std::map<std::string, Factors> all;
  for (const auto& [name, tensor] : adaptable(file)) {
    const gguf::TensorInfo& in_file = *file.find_tensor(name);
    const uint64_t n_in = in_file.dims[0], n_out = in_file.dims[1], n = in_file.dims[2];
    Factors factors;
    const bool is_table = name == "token_embd.weight";
    factors.a_dims = {is_table ? kRank : n_in, is_table ? n_out : kRank, n};
    factors.b_dims = {kRank, is_table ? n_in : n_out, n};
    factors.a = random_values(random, factors.a_dims[0] * factors.a_dims[1] * n);
    factors.b = random_values(random, factors.b_dims[0] * factors.b_dims[1] * n);
    all.emplace(name, std::move(factors));
  }
  return all;
}

struct Header {
  std::string type = "adapter", kind = "lora", architecture;
};

gguf::File adapter_file(const Header& header, const std::map<std::string, Factors>& all,
                        std::vector<std::byte>& storage) {
  gguf::Writer writer;
  writer.add_metadata("general.type", header.type);
  writer.add_metadata("general.architecture", header.architecture);
  writer.add_metadata("adapter.type", header.kind);
  writer.add_metadata("adapter.lora.alpha", kAlpha);
  for (const auto& [name, factors] : all) {
    if (!factors.a.empty()) {
      writer.add_tensor(name + ".lora_a", kF32, factors.a_dims, bytes_of(factors.a));
    }
    if (!factors.b.empty()) {
      writer.add_tensor(name + ".lora_b", kF32, factors.b_dims, bytes_of(factors.b));
    }
  }
  storage = writer.to_bytes().value();
  return gguf::File::from_bytes(storage).value();
}

// W + scale * B A, as float32; of the embedding row t is changed by B a_t.
std::vector<float> merged_values(const gguf::TensorInfo& tensor, const Factors& factors,
                                 float scale, bool is_table) {
  const uint64_t n_in = tensor.dims[0], n_out = tensor.dims[1], n = tensor.dims[2];
  std::vector<float> values(n_in * n_out * n);
  quant::dequantize_row(*quant::tensor_type_from_gguf_id(tensor.type), tensor.bytes.data(),
                        static_cast<int64_t>(values.size()), values.data());
  for (uint64_t m = 0; m < n; ++m) {
    const float* const a = factors.a.data() + m * kRank * (is_table ? n_out : n_in);
    const float* const b = factors.b.data() + m * kRank * (is_table ? n_in : n_out);
    for (uint64_t o = 0; o < n_out; ++o) {
      for (uint64_t i = 0; i < n_in; ++i) {
        double sum = 0;
        for (uint64_t r = 0; r < kRank; ++r) {
          sum += is_table ? static_cast<double>(b[i * kRank + r]) * a[o * kRank + r]
                          : static_cast<double>(b[o * kRank + r]) * a[r * n_in + i];
        }
        values[(m * n_out + o) * n_in + i] += static_cast<float>(scale * sum);
      }
    }
  }
  return values;
}

gguf::File merged_file(const gguf::File& file, const std::map<std::string, Factors>& all,
                       float scale, std::vector<std::byte>& storage) {
  gguf::Writer writer;
  for (const auto& entry : file.metadata().entries()) writer.add_metadata(entry.key, entry.value);
  std::vector<std::vector<float>> kept;
  kept.reserve(file.tensors().size());
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    const std::span<const uint64_t> dims(tensor.dims.data(), tensor.n_dims);
    const auto found = all.find(std::string(tensor.name));
    if (found == all.end()) {
      writer.add_tensor(tensor.name, tensor.type, dims, tensor.bytes);
      continue;
    }
    kept.push_back(
        merged_values(tensor, found->second, scale, found->first == "token_embd.weight"));
    writer.add_tensor(tensor.name, kF32, dims, bytes_of(kept.back()));
  }
  storage = writer.to_bytes().value();
  return gguf::File::from_bytes(storage).value();
}

Result<std::vector<float>> logits(const gguf::File& file, kernels::Backend& backend,
                                  std::span<const runtime::AdapterFile> adapters, size_t chunk) {
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(file));
  LLMRUN_ASSIGN(const auto model, runtime::Model::load(file, backend, std::move(spec), adapters));
  LLMRUN_ASSIGN(const auto context, model->new_context(testing::float_cache()));
  return testing::run_chunked(*context, kIds, chunk);
}

bool all_float(const gguf::File& file) {
  return std::all_of(file.tensors().begin(), file.tensors().end(),
                     [](const gguf::TensorInfo& tensor) { return tensor.type == kF32; });
}

std::string error_of(const gguf::File& file, const gguf::File& adapter) {
  const auto backend = testing::cpu_backend();
  const runtime::AdapterFile one{&adapter, 1.0F};
  const auto result = logits(file, *backend, {&one, 1}, 8);
  return result ? "" : result.error().message;
}

void expect_merged(const std::string& stem, kernels::Backend& backend) {
  SCOPED_TRACE(stem);
  const gguf::File file = open_file(stem + ".gguf");
  const auto factors = make_factors(file, 7);
  std::vector<std::byte> adapter_bytes, merged_bytes;
  const gguf::File adapter = adapter_file(
      {.architecture = testing::architecture_of(stem + ".gguf")}, factors, adapter_bytes);
  constexpr float kScale = 0.75F;
  const gguf::File merged = merged_file(file, factors, kScale * kAlpha / kRank, merged_bytes);
  const runtime::AdapterFile one{&adapter, kScale};
  const auto expected = logits(merged, backend, {}, 24);
  const auto adapted = logits(file, backend, {&one, 1}, 24);
  const auto plain = logits(file, backend, {}, 24);
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  ASSERT_TRUE(adapted.has_value()) << adapted.error().message;
  EXPECT_LT(normalised_error(*adapted, *expected), all_float(file) ? 1e-7 : 2e-3);
  EXPECT_GT(normalised_error(*plain, *expected), 3e-5);
  if (!models::build_spec(file)->causal) return;  // its chunks are texts of their own
  const auto in_chunks = logits(file, backend, {&one, 1}, 5);
  EXPECT_TRUE(same_bits(*adapted, *in_chunks));
}

TEST(Adapters, GiveWhatMergedWeightsGiveInEveryArchitecture) {
  const auto backend = testing::cpu_backend();
  const auto models = testing::models_in(kStored);
  ASSERT_GT(models.size(), 60U);
  for (const std::string& stem : models) expect_merged(stem, *backend);
}

// The same by devices that share every layer: of each adapter the rows or columns that a device
// has.
TEST(Adapters, AreCutAsTheWeightsAre) {
  size_t n_shared = 0;
  for (const std::string& stem : testing::models_in(kStored)) {
    SCOPED_TRACE(stem);
    const gguf::File file = open_file(stem + ".gguf");
    const auto factors = make_factors(file, 7);
    std::vector<std::byte> adapter_bytes;
    const gguf::File adapter = adapter_file(
        {.architecture = testing::architecture_of(stem + ".gguf")}, factors, adapter_bytes);
    const std::array<runtime::AdapterFile, 2> adapters = {{{&adapter, 0.75F}, {&adapter, -0.5F}}};
    const auto whole = testing::cpu_backend(1);
    for (const size_t n : {size_t{2}, size_t{3}}) {
      std::vector<std::unique_ptr<kernels::Backend>> backends;
      runtime::Placement placement;
      placement.tensors = true;
      for (size_t i = 0; i < n; ++i) {
        backends.push_back(testing::cpu_backend(1));
        placement.devices.push_back(backends.back().get());
      }
      const auto model = runtime::Model::load(file, std::move(placement),
                                              models::build_spec(file).value(), adapters);
      if (!model) {
        EXPECT_EQ(model.error().code, ErrorCode::kUnsupported) << model.error().message;
        continue;
      }
      const auto context = (*model)->new_context(testing::float_cache());
      ASSERT_TRUE(context.has_value()) << context.error().message;
      const auto shared = testing::run_chunked(**context, kIds, 24);
      ASSERT_TRUE(shared.has_value()) << shared.error().message;
      const auto expected = logits(file, *whole, adapters, 24);
      ASSERT_TRUE(expected.has_value()) << expected.error().message;
      EXPECT_LT(normalised_error(*shared, *expected), 1e-9);
      ++n_shared;
    }
  }
  EXPECT_GT(n_shared, 50U);
}

TEST(Adapters, GiveTheSameOnEveryTarget) {
  for (const kernels::CpuTarget& target : kernels::cpu_targets()) {
    if (!target.available) continue;
    SCOPED_TRACE(target.name);
    const auto backend =
        kernels::make_backend("cpu", {.threads = 2, .cpu_target = std::string(target.name)})
            .value();
    expect_merged(kStored + "llama-dense", *backend);
    expect_merged(kStored + "altered-qwen3moe-experts", *backend);
  }
  expect_merged(kStored + "llama-dense", *kernels::make_reference_backend());
}

TEST(Adapters, AddUpAndCountInTheMemoryPlan) {
  const gguf::File file = open_file(kStored + "llama-dense.gguf");
  std::vector<std::byte> bytes[2];
  const auto first = make_factors(file, 1), second = make_factors(file, 2);
  const gguf::File adapters[2] = {adapter_file({.architecture = "llama"}, first, bytes[0]),
                                  adapter_file({.architecture = "llama"}, second, bytes[1])};
  std::vector<std::byte> once, twice;
  const gguf::File merged = merged_file(file, first, kAlpha / kRank, once);
  const gguf::File both = merged_file(merged, second, -0.5F * kAlpha / kRank, twice);
  const auto backend = testing::cpu_backend();
  const std::array<runtime::AdapterFile, 2> applied = {
      {{&adapters[0], 1.0F}, {&adapters[1], -0.5F}}};
  const auto expected = logits(both, *backend, {}, 24);
  const auto got = logits(file, *backend, applied, 24);
  ASSERT_TRUE(got.has_value()) << got.error().message;
  EXPECT_LT(normalised_error(*got, *expected), 1e-7);

  const auto model =
      runtime::Model::load(file, *backend, models::build_spec(file).value(), applied).value();
  const auto plan = model->plan(testing::float_cache()).value();
  uint64_t counted = 0;
  for (const runtime::PlanItem& item : plan.items) {
    if (item.component == "adapters") counted = item.bytes;
  }
  EXPECT_EQ(counted, adapters[0].tensor_bytes() + adapters[1].tensor_bytes());
}

TEST(Adapters, ThatDoNotFitAreRefused) {
  const gguf::File file = open_file(kStored + "llama-dense.gguf");
  const std::string query = "blk.0.attn_q.weight";
  const Factors good = make_factors(file, 1).at(query);
  std::vector<std::byte> bytes;
  const auto refused = [&](const Header& header, const std::map<std::string, Factors>& all) {
    const gguf::File adapter = adapter_file(header, all, bytes);
    return error_of(file, adapter);
  };
  const Header llama = {.architecture = "llama"};
  EXPECT_EQ(refused(llama, {{query, good}}), "");
  EXPECT_NE(refused({.type = "model", .architecture = "llama"}, {{query, good}}).find("no adapter"),
            std::string::npos);
  EXPECT_NE(refused({.kind = "ia3", .architecture = "llama"}, {{query, good}}).find("ia3"),
            std::string::npos);
  EXPECT_NE(refused({.architecture = "qwen2"}, {{query, good}}).find("qwen2"), std::string::npos);
  EXPECT_NE(refused(llama, {{"blk.99.attn_q.weight", good}}).find("blk.99"), std::string::npos);
  EXPECT_NE(refused(llama, {{"blk.0.attn_norm.weight", good}}).find("blk.0.attn_norm"),
            std::string::npos);
  EXPECT_NE(refused(llama, {}).find("no tensors"), std::string::npos);
  Factors changed = good;
  changed.b.clear();
  EXPECT_NE(refused(llama, {{query, changed}}).find(".lora_b"), std::string::npos);
  changed = good;
  changed.b_dims[1] -= 1;
  changed.b.resize(changed.b.size() - kRank);
  EXPECT_NE(refused(llama, {{query, changed}}).find("shape"), std::string::npos);
  changed = good;
  std::swap(changed.a_dims[0], changed.a_dims[1]);
  EXPECT_NE(refused(llama, {{query, changed}}), "");
}

}  // namespace
}  // namespace llmrun
