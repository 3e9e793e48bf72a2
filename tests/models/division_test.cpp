// Layers divided among devices: the logits are those of one device, bit for bit, wherever the
// layers and their experts lie. Two backends of the CPU stand for two devices here;
// tests/cuda_emulation has a GPU beside it.
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::kIds;

struct Divided {
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<runtime::Model> model;
};

// `layers` has the device of each layer, `experts` that of its experts; empty: all on the first,
// and experts where their layer is.
Result<Divided> open_divided(const std::string& path, std::vector<kernels::Backend*> devices,
                             std::vector<uint8_t> layers, std::vector<uint8_t> experts = {}) {
  Divided result;
  LLMRUN_ASSIGN(gguf::File file, gguf::File::open(path));
  result.file = std::make_unique<gguf::File>(std::move(file));
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(*result.file));
  runtime::Placement placement{std::move(devices), std::move(layers)};
  placement.experts = std::move(experts);
  LLMRUN_ASSIGN(result.model,
                runtime::Model::load(*result.file, std::move(placement), std::move(spec)));
  return result;
}

size_t n_layers_of(const std::string& path) {
  const auto file = gguf::File::open(path);
  return models::build_spec(*file)->layers.size();
}

bool has_experts(const runtime::LayerSpec& layer) {
  return std::holds_alternative<runtime::MoeFfn>(layer.ffn) ||
         std::holds_alternative<runtime::MoeFfn>(layer.side_ffn);
}

class Division : public ::testing::TestWithParam<std::string> {
 protected:
  // The logits of the whole text, read in pieces.
  Result<std::vector<float>> logits(const std::vector<uint8_t>& layers, size_t chunk,
                                    const std::vector<uint8_t>& experts = {}) {
    LLMRUN_ASSIGN(const Divided divided, open_divided(path_, devices(layers), layers, experts));
    if (!divided.model->spec().causal) chunk = kIds.size();
    LLMRUN_ASSIGN(const auto context, divided.model->new_context(testing::float_cache()));
    return testing::run_chunked(*context, kIds, chunk);
  }
  std::vector<kernels::Backend*> devices(const std::vector<uint8_t>& layers) {
    return layers.empty() ? std::vector<kernels::Backend*>{first_.get()}
                          : std::vector<kernels::Backend*>{first_.get(), second_.get()};
  }

  std::string path_ = std::string(tests::kSourceDir) + "/tests/data/archs/" + GetParam() + ".gguf";
  std::unique_ptr<kernels::Backend> first_ = testing::cpu_backend(1);
  std::unique_ptr<kernels::Backend> second_ = testing::cpu_backend(1);
};

TEST_P(Division, ChangesNoBit) {
  const size_t n = n_layers_of(path_);
  const auto whole = logits({}, 7);
  ASSERT_TRUE(whole) << whole.error().message;
  for (size_t first = 0; first <= n; ++first) {
    std::vector<uint8_t> layers(n, 1);
    std::fill_n(layers.begin(), first, uint8_t{0});
    const auto divided = logits(layers, 7);
    ASSERT_TRUE(divided) << divided.error().message;
    EXPECT_TRUE(testing::same_bits(*whole, *divided)) << first << " of " << n << " layers";
  }
  std::vector<uint8_t> alternating(n);
  for (size_t i = 0; i < n; ++i) alternating[i] = static_cast<uint8_t>(i % 2);
  const auto there_and_back = logits(alternating, 1);
  ASSERT_TRUE(there_and_back) << there_and_back.error().message;
  EXPECT_TRUE(testing::same_bits(*whole, *there_and_back)) << "every other layer";
}

// All layers on the second device, or half of them, and of more and more the experts on the first.
TEST_P(Division, OfExpertsChangesNoBit) {
  const auto file = gguf::File::open(path_);
  ASSERT_TRUE(file);
  const auto spec = models::build_spec(*file);
  ASSERT_TRUE(spec) << spec.error().message;
  const size_t n = spec->layers.size();
  if (std::none_of(spec->layers.begin(), spec->layers.end(), has_experts)) {
    GTEST_SKIP() << "has no experts";
  }
  const auto whole = logits({}, 7);
  ASSERT_TRUE(whole) << whole.error().message;
  for (const size_t first : {size_t{0}, n / 2}) {
    std::vector<uint8_t> layers(n, 1);
    std::fill_n(layers.begin(), first, uint8_t{0});
    std::vector<uint8_t> experts = layers;
    for (size_t i = 0; i < n; ++i) {
      if (!has_experts(spec->layers[i])) continue;
      experts[i] = 0;
      for (const size_t chunk : {size_t{1}, size_t{7}, kIds.size()}) {
        const auto divided = logits(layers, chunk, experts);
        ASSERT_TRUE(divided) << divided.error().message;
        EXPECT_TRUE(testing::same_bits(*whole, *divided))
            << "experts of layer " << i << " and before, by " << chunk << " tokens";
      }
    }
  }
}

// Sequences that share pages and states, whose parts lie on both devices.
TEST_P(Division, ForkedSequencesGoOnAlike) {
  std::vector<uint8_t> layers(n_layers_of(path_), 1);
  layers[0] = 0;
  std::vector<std::vector<float>> results;
  for (const std::vector<uint8_t>& placed : {std::vector<uint8_t>(), layers}) {
    const auto divided = open_divided(path_, devices(placed), placed);
    ASSERT_TRUE(divided) << divided.error().message;
    if (!divided->model->spec().causal) GTEST_SKIP() << "reads whole texts only";
    const auto context = divided->model->new_context(testing::float_cache(2));
    ASSERT_TRUE(context) << context.error().message;
    runtime::Context& c = **context;
    const auto parent = c.open_sequence();
    ASSERT_TRUE(parent);
    const auto read = [&](runtime::SequenceId id, size_t first, size_t count) {
      runtime::Batch batch;
      batch.chunks.push_back({.sequence = id,
                              .tokens = std::span(kIds).subspan(first, count),
                              .logits = runtime::WantedLogits::kLast});
      const auto logits = c.forward(batch);
      EXPECT_TRUE(logits) << logits.error().message;
      if (logits) results.emplace_back(logits->row(0).begin(), logits->row(0).end());
    };
    read(*parent, 0, 10);
    const auto child = c.fork_sequence(*parent, 10);
    ASSERT_TRUE(child);
    read(*child, static_cast<size_t>(c.length(*child)), 4);
    read(*parent, 10, 5);
    c.close_sequence(*parent);
    c.close_sequence(*child);
  }
  ASSERT_EQ(results.size(), 6U);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(testing::same_bits(results[i], results[i + 3])) << i;
}

// What a context allocates is what its plan says, device by device.
TEST_P(Division, PlansEachDevice) {
  const size_t n = n_layers_of(path_);
  const auto whole = open_divided(path_, devices({}), {});
  ASSERT_TRUE(whole);
  const std::vector<uint8_t> layers = [&] {
    std::vector<uint8_t> result(n, 1);
    std::fill_n(result.begin(), n / 2, uint8_t{0});
    return result;
  }();
  const auto divided = open_divided(path_, devices(layers), layers);
  ASSERT_TRUE(divided);
  const auto one = whole->model->plan(testing::float_cache());
  const auto two = divided->model->plan(testing::float_cache());
  ASSERT_TRUE(one && two);
  // Divided, and nothing twice; every device needs room for a pass of its own.
  EXPECT_EQ(testing::bytes_of(*two, "KV cache"), testing::bytes_of(*one, "KV cache"));
  EXPECT_EQ(testing::bytes_of(*two, "recurrent state"), testing::bytes_of(*one, "recurrent state"));
  EXPECT_EQ(testing::bytes_of(*two, "activations"), 2 * testing::bytes_of(*one, "activations"));
  EXPECT_EQ(testing::bytes_of(*two, "weights (mapped file)"),
            testing::bytes_of(*one, "weights (mapped file)"));
}

// Experts take their memory with them, and what crosses has room that is planned.
TEST_P(Division, PlansExpertsWhereTheyLie) {
  const size_t n = n_layers_of(path_);
  const std::vector<uint8_t> second(n, 1), first(n, 0);
  const auto together = open_divided(path_, devices(second), second);
  const auto apart = open_divided(path_, devices(second), second, first);
  ASSERT_TRUE(together && apart);
  const auto before = together->model->plan(testing::float_cache());
  const auto after = apart->model->plan(testing::float_cache());
  ASSERT_TRUE(before && after);
  const auto& layers = apart->model->spec().layers;
  const bool any = std::any_of(layers.begin(), layers.end(), has_experts);
  const auto& weights = after->device_weights;
  EXPECT_EQ(weights[0] > 0, any);
  EXPECT_EQ(weights[0] + weights[1], before->device_weights[1]);
  EXPECT_EQ(testing::bytes_of(*after, "KV cache"), testing::bytes_of(*before, "KV cache"));
  const uint64_t crossing =
      testing::bytes_of(*after, "bookkeeping") - testing::bytes_of(*before, "bookkeeping");
  // What experts read and give of each token, in float32, and their numbers and weights.
  EXPECT_EQ(crossing > 0, any);
}

INSTANTIATE_TEST_SUITE_P(Stored, Division, ::testing::ValuesIn(testing::stored_models()),
                         [](const auto& parameter) { return testing::test_name(parameter.param); });

}  // namespace
}  // namespace llmrun
