// Layers shared by several devices: the logits are those of one device but for the rounding of sums
// in parts, the same bits however the text is cut, and what cannot be shared is told by name.
// Backends of the CPU stand for the devices here; tests/cuda_emulation has GPUs.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_folder.h"
#include "gguf/writer.h"
#include "models/tiny.h"
#include "paths.h"
#include "runtime/tensor_split.h"

namespace llmrun {
namespace {

using testing::kIds;

constexpr double kLimit = 1e-10;  // of mean squares: rounding of float32

struct Split {
  std::unique_ptr<gguf::File> file;
  std::vector<std::unique_ptr<kernels::Backend>> backends;
  std::unique_ptr<runtime::Model> model;
};

Result<Split> open_split(const std::string& path, size_t n,
                         runtime::LoadFor use = runtime::LoadFor::kRunning) {
  Split split;
  LLMRUN_ASSIGN(gguf::File file, gguf::File::open(path));
  split.file = std::make_unique<gguf::File>(std::move(file));
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(*split.file));
  runtime::Placement placement;
  for (size_t i = 0; i < n; ++i) {
    split.backends.push_back(testing::cpu_backend(1));
    placement.devices.push_back(split.backends.back().get());
  }
  placement.tensors = true;
  LLMRUN_ASSIGN(split.model,
                runtime::Model::load(*split.file, std::move(placement), std::move(spec), {}, use));
  return split;
}

Result<std::vector<float>> logits_of(const std::string& path, size_t n, size_t chunk) {
  LLMRUN_ASSIGN(const Split split, open_split(path, n));
  if (!split.model->spec().causal) chunk = kIds.size();
  LLMRUN_ASSIGN(const auto context, split.model->new_context(testing::float_cache()));
  return testing::run_chunked(*context, kIds, chunk);
}

std::string path_of(const std::string& name) {
  return std::string(tests::kSourceDir) + "/tests/data/archs/" + name + ".gguf";
}

// The model with every matrix that can be stored so in blocks of 32.
std::string in_blocks(const std::string& name, const test::TemporaryFolder& folder) {
  constexpr auto kType = quant::TensorType::Q8_0;
  const auto file = gguf::File::open(path_of(name));
  EXPECT_TRUE(file);
  gguf::Writer writer;
  for (const auto& [key, value] : file->metadata().entries()) writer.add_metadata(key, value);
  std::vector<std::vector<std::byte>> kept;
  kept.reserve(file->tensors().size());
  for (const gguf::TensorInfo& tensor : file->tensors()) {
    const std::span<const uint64_t> dims(tensor.dims.data(), tensor.n_dims);
    const auto n = static_cast<int64_t>(tensor.n_elements);
    if (tensor.n_dims < 2 || dims[0] % 32 != 0 || tensor.name.find("inp") != std::string::npos) {
      writer.add_tensor(tensor.name, tensor.type, dims, tensor.bytes);
      continue;
    }
    kept.emplace_back(quant::row_bytes(kType, n).value());
    quant::quantize_row(kType, reinterpret_cast<const float*>(tensor.bytes.data()), n,
                        kept.back().data());
    writer.add_tensor(tensor.name, quant::traits(kType).gguf_id, dims, kept.back());
  }
  const std::string path = folder.file("blocks.gguf");
  EXPECT_TRUE(writer.write(path));
  return path;
}

void expect_shared(const std::string& path, size_t n) {
  const auto whole = logits_of(path, 1, 7);
  ASSERT_TRUE(whole) << whole.error().message;
  const auto shared = logits_of(path, n, 7);
  ASSERT_TRUE(shared) << shared.error().message;
  EXPECT_LT(testing::normalised_error(*shared, *whole), kLimit);
  for (const size_t chunk : {size_t{1}, kIds.size()}) {
    const auto cut = logits_of(path, n, chunk);
    ASSERT_TRUE(cut) << cut.error().message;
    EXPECT_TRUE(testing::same_bits(*shared, *cut)) << "in chunks of " << chunk;
  }
}

class TensorSplit : public ::testing::TestWithParam<std::string> {};

// Every stored model can be shared, or says what of it cannot.
TEST_P(TensorSplit, GivesTheSameLogitsOrSaysWhyNot) {
  const auto split = open_split(path_of(GetParam()), 2);
  if (split) return expect_shared(path_of(GetParam()), 2);
  EXPECT_EQ(split.error().code, ErrorCode::kUnsupported) << split.error().message;
  EXPECT_NE(split.error().message.find("--split-mode layer"), std::string::npos)
      << split.error().message;
  EXPECT_TRUE(split.error().message.find("layer ") == 0 ||
              split.error().message.find("mixes its residual streams") != std::string::npos)
      << split.error().message;
}

INSTANTIATE_TEST_SUITE_P(Stored, TensorSplit, ::testing::ValuesIn(testing::stored_models()),
                         [](const auto& parameter) { return testing::test_name(parameter.param); });

// Three and four devices: uneven shares, and heads of keys and values that two of them have.
TEST(TensorSplitForms, AreSharedByThreeAndFour) {
  for (const char* name :
       {"llama-dense", "qwen3moe-moe", "altered-gpt-oss-experts", "altered-mimo2-window"}) {
    for (const size_t n : {size_t{3}, size_t{4}}) {
      SCOPED_TRACE(fmt::format("{} on {}", name, n));
      expect_shared(path_of(name), n);
    }
  }
}

// Those that must not say so: plain, biases, norms of heads, windows, soft-caps, experts of several
// kinds, parallel and other residuals, gates, fused tensors, two heads' worth of sinks.
TEST(TensorSplitForms, CoverTheFamilies) {
  for (const char* name : {"llama-dense",
                           "gemma3-dense",
                           "qwen3moe-moe",
                           "altered-qwen2vl-sections",
                           "altered-qwen3vl-sections",
                           "altered-gemma2-window",
                           "altered-gemma3-window",
                           "altered-qwen2moe-experts",
                           "altered-qwen3moe-experts",
                           "altered-gpt-oss-experts",
                           "altered-phi3-long",
                           "altered-phimoe-long",
                           "altered-dbrx-clamp",
                           "altered-afmoe-gates",
                           "altered-arctic-experts",
                           "altered-cohere2-window",
                           "altered-falcon-two-norms",
                           "altered-gptneox-parallel",
                           "altered-granite-scales",
                           "altered-grok-yarn",
                           "altered-llama4-experts",
                           "altered-mistral3-yarn",
                           "altered-smallthinker-experts",
                           "altered-stablelm-parallel",
                           "altered-talkie-scales",
                           "altered-hrm-text-cycles"}) {
    SCOPED_TRACE(name);
    const auto split = open_split(path_of(name), 2);
    EXPECT_TRUE(split) << split.error().message;
  }
}

TEST(TensorSplitForms, TellWhatCannotBeShared) {
  const auto error_of = [](const char* name, size_t n) {
    const auto split = open_split(path_of(name), n);
    EXPECT_FALSE(split) << name;
    return split ? std::string() : split.error().message;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(error_of("llama-dense", 5), "blk.0.attn_output.weight has 4 heads of queries on 2 of keys");
  has(error_of("llama-dense", 5), "which 4 devices at most can share, and there are 5");
  has(error_of("altered-deepseek2-absorbed", 2), "latent attention (MLA)");
  has(error_of("altered-mamba-norms", 2), "recurrent mixer");
  has(error_of("altered-mpt-awq", 2), "ALiBi");
  has(error_of("altered-olmo2-window", 2), "norm over all heads");
  has(error_of("altered-grovemoe-chunks", 2), "sums of experts");
  has(error_of("altered-qwen4exp-ngrams", 2), "residual streams");
}

// Matrices are cut between blocks of values; 3 blocks of columns make uneven shares.
TEST(TensorSplitForms, CutBetweenBlocks) {
  const test::TemporaryFolder folder;
  for (const char* name : {"llama-dense", "qwen3moe-moe"}) {
    SCOPED_TRACE(name);
    expect_shared(in_blocks(name, folder), 2);
    // Two heads of queries are one block: they stay together.
    const auto split = open_split(in_blocks(name, folder), 3);
    ASSERT_FALSE(split);
    EXPECT_NE(split.error().message.find("which 2 devices at most can share"), std::string::npos)
        << split.error().message;
  }
}

// The shares are the whole: of matrices no byte twice and none missing; and what a context
// allocates on each device is what its plan says, loaded or not.
TEST(TensorSplitPlan, DividesWeightsAndCache) {
  for (const char* name : {"llama-dense", "altered-gemma3-window", "qwen3moe-moe"}) {
    SCOPED_TRACE(name);
    const auto whole = open_split(path_of(name), 1);
    const auto loaded = open_split(path_of(name), 2);
    const auto planned = open_split(path_of(name), 2, runtime::LoadFor::kPlanning);
    ASSERT_TRUE(whole && loaded && planned);
    const auto one = whole->model->plan(testing::float_cache());
    const auto two = loaded->model->plan(testing::float_cache());
    const auto before = planned->model->plan(testing::float_cache());
    ASSERT_TRUE(one && two && before);
    EXPECT_EQ(two->total_bytes(), before->total_bytes());
    EXPECT_EQ(two->device_weights, before->device_weights);
    EXPECT_EQ(testing::bytes_of(*two, "KV cache"), testing::bytes_of(*one, "KV cache"));
    EXPECT_GT(testing::bytes_of(*two, "meeting place"), 0U);
    // Each has less than the whole, and what both have is the table, norms and routers.
    ASSERT_EQ(two->device_weights.size(), 2U);
    const uint64_t all = one->device_weights[0];
    EXPECT_LT(two->device_weights[0], all);
    EXPECT_LT(two->device_weights[1], all);
    EXPECT_GE(two->device_weights[0] + two->device_weights[1], all);
  }
}

// Sequences that share pages, whose heads lie on both devices, beside others in one batch.
TEST(TensorSplitContext, ForksAndBatchesSequences) {
  const auto split = open_split(path_of("altered-gemma3-window"), 2);
  ASSERT_TRUE(split) << split.error().message;
  const auto alone = logits_of(path_of("altered-gemma3-window"), 2, kIds.size());
  ASSERT_TRUE(alone);
  const auto context = split->model->new_context(testing::float_cache(2));
  ASSERT_TRUE(context) << context.error().message;
  runtime::Context& c = **context;
  const auto first = c.open_sequence(), second = c.open_sequence();
  ASSERT_TRUE(first && second);
  const auto n_vocab = static_cast<size_t>(split->model->spec().n_vocab);
  for (size_t i = 0; i + 2 < kIds.size(); i += 2) {
    runtime::Batch batch;
    batch.chunks.push_back({.sequence = *first, .tokens = std::span(kIds).subspan(i, 2)});
    batch.chunks.push_back({.sequence = *second, .tokens = std::span(kIds).subspan(i / 2, 1)});
    const auto logits = c.forward(batch);
    ASSERT_TRUE(logits) << logits.error().message;
    EXPECT_TRUE(
        testing::same_bits(logits->row(0), std::span(*alone).subspan((i + 1) * n_vocab, n_vocab)));
    EXPECT_TRUE(
        testing::same_bits(logits->row(1), std::span(*alone).subspan(i / 2 * n_vocab, n_vocab)));
  }
  c.close_sequence(*second);
  ASSERT_TRUE(c.truncate(*first, c.restorable(*first, 12)));
  const auto child = c.fork_sequence(*first, c.length(*first));
  ASSERT_TRUE(child) << child.error().message;
  runtime::Batch batch;
  const auto from = static_cast<size_t>(c.length(*child));
  batch.chunks.push_back({.sequence = *child, .tokens = std::span(kIds).subspan(from)});
  const auto logits = c.forward(batch);
  ASSERT_TRUE(logits) << logits.error().message;
  EXPECT_TRUE(testing::same_bits(logits->row(0), std::span(*alone).last(n_vocab)));
}

}  // namespace
}  // namespace llmrun
