// Whole models on the emulated GPU, strictly: nothing runs before the host waits, and the host
// cannot touch device memory. The stored logits are met, and cutting the text changes no bit; token
// by token, the steps are graphs. Compiled without the emulation, the same on a card.
#include <gtest/gtest.h>

#include "base/error.h"
#ifdef LLMRUN_CUDA_EMULATION
#include "cuda_emulation/block.h"
#include "cuda_emulation/runtime.h"
#endif
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::kIds;

// Weights are F32, so only rounding differs.
constexpr double kLimit = 5e-6;

#ifdef LLMRUN_CUDA_EMULATION
class StrictDevice {
 public:
  explicit StrictDevice(bool graphs = true) {
    cuda_emulation::options() = {.deferred = true, .closed_memory = true, .no_graphs = !graphs};
  }
  ~StrictDevice() { cuda_emulation::options() = {}; }
  StrictDevice(const StrictDevice&) = delete;
  StrictDevice& operator=(const StrictDevice&) = delete;
  // Memory that was not given back.
  static size_t leaked() { return cuda_emulation::allocated_bytes(); }
  // Graphs that were launched so far, and of a text of kDecoded tokens.
  static size_t n_graphs() { return cuda_emulation::graph_counts().launches; }
  static constexpr size_t kGraphs = 3;
};
#else
struct StrictDevice {
  StrictDevice() {}
  static size_t leaked() { return 0; }
  static size_t n_graphs() { return 0; }
  static constexpr size_t kGraphs = 0;
};
#endif

// Of the first n_tokens ids, read in pieces of `chunk`.
Result<std::vector<float>> logits_of(const std::string& stem, kernels::Backend& backend,
                                     size_t chunk, size_t n_tokens = kIds.size()) {
  LLMRUN_ASSIGN(const testing::TinyModel tiny, testing::open_tiny(stem + ".gguf", backend));
  // A model that is not causal reads a text at once.
  if (!tiny.model->spec().causal) chunk = n_tokens = kIds.size();
  LLMRUN_ASSIGN(const auto context, tiny.model->new_context(testing::float_cache()));
  const std::vector<TokenId> ids(kIds.begin(),
                                 kIds.begin() + static_cast<std::ptrdiff_t>(n_tokens));
  return testing::run_chunked(*context, ids, chunk);
}

// Tokens that are read one by one: the first step goes launch by launch, the others are graphs.
constexpr size_t kDecoded = 4;

class CudaModels : public ::testing::TestWithParam<std::string> {};

TEST_P(CudaModels, GiveTheStoredLogitsHoweverTheTextIsCut) {
  const StrictDevice strict;
  const std::string stem = std::string(tests::kSourceDir) + "/tests/data/archs/" + GetParam();
  {
    auto backend = kernels::make_backend("cuda", {});
    if (!backend) GTEST_SKIP() << "skipped: " << backend.error().message;
    const auto whole = logits_of(stem, **backend, kIds.size());
    ASSERT_TRUE(whole) << whole.error().message;
    const auto stored = read_npy(stem + ".npy");
    ASSERT_TRUE(stored);
    EXPECT_LT(testing::normalised_error(*whole, stored->as<float>()), kLimit);
    const auto cut = logits_of(stem, **backend, 5);
    ASSERT_TRUE(cut) << cut.error().message;
    EXPECT_TRUE(testing::same_bits(*whole, *cut));
    const size_t before = StrictDevice::n_graphs();
    const auto decoded = logits_of(stem, **backend, 1, kDecoded);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_TRUE(testing::same_bits(std::span(*whole).first(decoded->size()), *decoded));
    const bool causal = decoded->size() < whole->size();
    EXPECT_EQ(StrictDevice::n_graphs() - before, causal ? StrictDevice::kGraphs : 0U);
  }
  EXPECT_EQ(StrictDevice::leaked(), 0U) << "memory of the device was not given back";
}

INSTANTIATE_TEST_SUITE_P(Stored, CudaModels, ::testing::ValuesIn(testing::stored_models()),
                         [](const auto& parameter) { return testing::test_name(parameter.param); });

}  // namespace
}  // namespace llmrun
