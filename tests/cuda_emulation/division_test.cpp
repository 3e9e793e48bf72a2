// Layers divided between the CPU and GPUs, and their experts. Emulated ones are strict: nothing
// runs before the host waits, and neither the host nor another device can touch a device's memory.
// The stored logits are met; what a model takes of a device is given back, however often it is
// loaded.
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "models/tiny.h"
#include "paths.h"
#ifdef LLMRUN_CUDA_EMULATION
#include "cuda_emulation/block.h"
#include "cuda_emulation/devices.h"
#endif

namespace llmrun {
namespace {

using testing::kIds;

constexpr double kLimit = 5e-6;  // weights are F32, so only rounding differs

#ifdef LLMRUN_CUDA_EMULATION
class StrictDevices {
 public:
  explicit StrictDevices(int count) {
    cuda_emulation::options() = {.deferred = true, .closed_memory = true};
    cuda_emulation::device_count() = count;
  }
  ~StrictDevices() {
    cuda_emulation::options() = {};
    cuda_emulation::device_count() = 1;
  }
  StrictDevices(const StrictDevices&) = delete;
  StrictDevices& operator=(const StrictDevices&) = delete;
};
#endif

std::string path_of(const std::string& name, const char* ending) {
  return std::string(tests::kSourceDir) + "/tests/data/archs/" + name + ending;
}

using Backends = std::vector<std::unique_ptr<kernels::Backend>>;
Backends open_devices(const std::vector<std::string>& names) {
  Backends backends;
  for (const std::string& name : names) {
    auto backend = kernels::make_backend(name, {.threads = 1, .cpu_target = {}});
    EXPECT_TRUE(backend) << backend.error().message;
    if (backend) backends.push_back(std::move(*backend));
  }
  return backends;
}

struct Loaded {
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<runtime::Model> model;
};
Result<Loaded> load(const std::string& name, const Backends& backends,
                    const std::function<uint8_t(size_t layer, size_t n)>& device_of,
                    bool cpu_experts = false) {
  Loaded loaded;
  LLMRUN_ASSIGN(gguf::File file, gguf::File::open(path_of(name, ".gguf")));
  loaded.file = std::make_unique<gguf::File>(std::move(file));
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(*loaded.file));
  runtime::Placement placement;
  for (const auto& backend : backends) placement.devices.push_back(backend.get());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    placement.layers.push_back(device_of(i, spec.layers.size()));
  }
  if (cpu_experts) placement.experts.assign(spec.layers.size(), 0);
  LLMRUN_ASSIGN(loaded.model,
                runtime::Model::load(*loaded.file, std::move(placement), std::move(spec)));
  return loaded;
}

struct Case {
  std::string model;
  std::vector<std::string> devices;
  bool cpu_experts = false;  // all layers on the GPUs, and all experts on the CPU
};
class CudaDivision : public ::testing::TestWithParam<Case> {};

TEST_P(CudaDivision, GivesTheStoredLogitsHoweverTheTextIsCut) {
#ifdef LLMRUN_CUDA_EMULATION
  const StrictDevices strict(2);
#else
  const auto card = kernels::choose_device("cuda");
  if (!card) GTEST_SKIP() << "skipped: " << card.error().message;
#endif
  const auto& [name, devices, cpu_experts] = GetParam();
  {
    const Backends backends = open_devices(devices);
    ASSERT_EQ(backends.size(), devices.size());
    const size_t n_host = cpu_experts ? 1 : 0;
    const auto in_order = [&](size_t layer, size_t n) {
      return static_cast<uint8_t>(n_host + layer * (devices.size() - n_host) / n);
    };
    const auto loaded = load(name, backends, in_order, cpu_experts);
    ASSERT_TRUE(loaded) << loaded.error().message;
    const auto stored = read_npy(path_of(name, ".npy"));
    ASSERT_TRUE(stored);
    const auto read = [&](size_t chunk, size_t n_tokens) {
      const auto context = loaded->model->new_context(testing::float_cache());
      EXPECT_TRUE(context) << context.error().message;
      const std::vector<TokenId> ids(kIds.begin(), kIds.begin() + static_cast<ptrdiff_t>(n_tokens));
      auto logits = testing::run_chunked(**context, ids, chunk);
      EXPECT_TRUE(logits) << logits.error().message;
      return logits.value_or(std::vector<float>());
    };
    const std::vector<float> whole = read(kIds.size(), kIds.size());
    EXPECT_LT(testing::normalised_error(whole, stored->as<float>()), kLimit);
    EXPECT_TRUE(testing::same_bits(whole, read(5, kIds.size())));
    // Token by token: each device's part of a step is a graph from the second on.
    const std::vector<float> decoded = read(1, 4);
    EXPECT_TRUE(testing::same_bits(std::span(whole).first(decoded.size()), decoded));
  }
#ifdef LLMRUN_CUDA_EMULATION
  for (int device = 0; device < 2; ++device) {
    EXPECT_EQ(cuda_emulation::allocated_bytes(device), 0U) << "of device " << device;
  }
#endif
}

#ifdef LLMRUN_CUDA_EMULATION
// A hundred times in and out: all that was taken of the device, of pinned memory and of the
// driver's handles is back.
TEST(CudaMemory, IsGivenBackHoweverOftenAModelIsLoaded) {
  const StrictDevices strict(1);
  size_t peak = 0;
  for (int cycle = 0; cycle < 100; ++cycle) {
    {
      const Backends backends =
          open_devices(cycle % 2 == 0 ? std::vector<std::string>{"cuda:0"}
                                      : std::vector<std::string>{"cpu", "cuda:0"});
      const auto last = static_cast<uint8_t>(backends.size() - 1);
      const auto loaded = load("llama-dense", backends, [&](size_t layer, size_t) {
        return layer == 0 ? uint8_t{0} : last;
      });
      ASSERT_TRUE(loaded) << loaded.error().message;
      const auto context = loaded->model->new_context(testing::float_cache());
      ASSERT_TRUE(context) << context.error().message;
      // The third token is a graph.
      const std::vector<TokenId> ids(kIds.begin(), kIds.begin() + 3);
      const auto logits = testing::run_chunked(**context, ids, 1);
      ASSERT_TRUE(logits) << logits.error().message;
      peak = std::max(peak, cuda_emulation::allocated_bytes(0));
    }
    ASSERT_EQ(cuda_emulation::allocated_bytes(0), 0U) << "in cycle " << cycle;
    ASSERT_EQ(cuda_emulation::pinned_bytes(), 0U) << "in cycle " << cycle;
    ASSERT_EQ(cuda_emulation::live_handles(), 0U) << "in cycle " << cycle;
  }
  EXPECT_GT(peak, size_t{8} << 20);  // something was taken
}

// A device that has no room says so, and what was taken before is given back.
TEST(CudaMemory, IsGivenBackWhenLoadingFails) {
  const StrictDevices strict(1);
  size_t n_failed = 0;
  for (size_t room = size_t{64} << 10; room <= size_t{64} << 20; room *= 2) {
    cuda_emulation::options().device_bytes = room;
    {
      auto backend = kernels::make_backend("cuda", {});
      if (backend) {
        Backends backends;
        backends.push_back(std::move(*backend));
        const auto loaded =
            load("llama-dense", backends, [](size_t, size_t) { return uint8_t{0}; });
        const auto context =
            loaded ? loaded->model->new_context(testing::float_cache())
                   : Result<std::unique_ptr<runtime::Context>>(tl::unexpected(loaded.error()));
        if (!context) {
          ++n_failed;
          EXPECT_EQ(context.error().code, ErrorCode::kOutOfMemory) << context.error().message;
        }
      } else {
        ++n_failed;
        EXPECT_EQ(backend.error().code, ErrorCode::kOutOfMemory) << backend.error().message;
      }
    }
    EXPECT_EQ(cuda_emulation::allocated_bytes(0), 0U) << "of " << room;
    EXPECT_EQ(cuda_emulation::pinned_bytes(), 0U) << "of " << room;
    EXPECT_EQ(cuda_emulation::live_handles(), 0U) << "of " << room;
  }
  EXPECT_GT(n_failed, 2U);
}

#endif

// Without the emulation: what one card can show.
std::vector<Case> cases() {
  const std::vector<std::string> kHalves = {"cpu", "cuda:0"};
  std::vector<Case> all = {{"altered-gemma3-window", kHalves},
                           {"altered-qwen3moe-experts", kHalves},
                           {"altered-plamo2-heads", kHalves},
                           {"altered-qwen3moe-experts", kHalves, true},
                           {"altered-gpt-oss-experts", kHalves, true}};
#ifdef LLMRUN_CUDA_EMULATION
  const std::vector<std::string> kCards = {"cuda:0", "cuda:1"}, kAll = {"cpu", "cuda:0", "cuda:1"};
  const std::vector<Case> of_cards = {
      {"altered-gemma3-window", kCards},
      {"altered-deepseek2-absorbed", kCards},
      // Streams of other kinds: what crosses is more than one row per token.
      {"altered-hrm-text-cycles", kCards},
      {"altered-kimi-k3-bank", kCards},
      {"altered-qwen4exp-ngrams", kCards},
      {"altered-talkie-scales", kCards},
      {"altered-smallthinker-experts", kCards},
      {"altered-gemma3-window", kAll},
      // Experts that read a layer's input, other experts' sums or a narrower row, or are weighed
      // before they read.
      {"altered-smallthinker-experts", kHalves, true},
      {"altered-grovemoe-chunks", kHalves, true},
      {"altered-nemotron-h-moe-latent", kHalves, true},
      {"altered-llama4-experts", kHalves, true},
      {"altered-kimi-k3-bank", kAll, true},
      {"altered-qwen3moe-experts", kAll, true}};
  all.insert(all.end(), of_cards.begin(), of_cards.end());
#endif
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, CudaDivision, ::testing::ValuesIn(cases()),
                         [](const auto& parameter) {
                           std::string name = parameter.param.model;
                           for (const std::string& device : parameter.param.devices) {
                             name += "_" + device;
                           }
                           if (parameter.param.cpu_experts) name += "_cpu_experts";
                           return testing::test_name(name);
                         });

}  // namespace
}  // namespace llmrun
