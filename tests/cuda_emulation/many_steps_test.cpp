// Passes that end a step dozens of times, because experts of every layer are in main memory, or
// because GPUs meet there after every block: each step is a graph, as the only one of a pass is,
// and the bits are those of launches one by one.
#include "cuda_emulation/runtime.h"
#include "cuda_emulation/two_gpus.h"
#include "gguf/writer.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::kIds;
using Backends = std::vector<std::unique_ptr<kernels::Backend>>;

class ManySteps : public TwoGpus {
 protected:
  // A tiny model whose layers come again until there are so many.
  void use_model(const std::string& name, uint32_t n_layers) {
    const auto tiny =
        gguf::File::open(std::string(tests::kSourceDir) + "/tests/data/archs/" + name + ".gguf")
            .value();
    const auto architecture = tiny.metadata().get<std::string>("general.architecture").value();
    const std::string count = architecture + ".block_count";
    const auto n_own = tiny.metadata().get<uint32_t>(count).value();
    gguf::Writer writer;
    for (const auto& entry : tiny.metadata().entries()) {
      if (entry.key != count) writer.add_metadata(entry.key, entry.value);
    }
    writer.add_metadata(count, n_layers);
    for (const gguf::TensorInfo& tensor : tiny.tensors()) {
      const std::span<const uint64_t> dims(tensor.dims.data(), tensor.n_dims);
      const std::string own(tensor.name);
      if (!own.starts_with("blk.")) {
        writer.add_tensor(own, tensor.type, dims, tensor.bytes);
        continue;
      }
      const size_t end = own.find('.', 4);
      const auto from = static_cast<uint32_t>(std::stoul(own.substr(4, end - 4)));
      for (uint32_t layer = from; layer < n_layers; layer += n_own) {
        writer.add_tensor("blk." + std::to_string(layer) + own.substr(end), tensor.type, dims,
                          tensor.bytes);
      }
    }
    bytes_ = writer.to_bytes().value();
    file_ = std::make_unique<gguf::File>(gguf::File::from_bytes(bytes_).value());
  }

  static Backends open(const std::vector<std::string>& names) {
    Backends backends;
    for (const std::string& name : names) {
      backends.push_back(
          std::move(kernels::make_backend(name, {.threads = 1, .cpu_target = {}}).value()));
    }
    return backends;
  }
  static runtime::Placement on(const Backends& backends) {
    runtime::Placement placement;
    for (const auto& backend : backends) placement.devices.push_back(backend.get());
    return placement;
  }
  // The logits of a text read in one go (no step comes twice), and token by token, where every
  // device has `n_steps` steps in a pass: all but the first pass consist of graphs.
  void check(const runtime::Placement& placement, size_t n_devices, size_t n_steps) {
    auto spec = models::build_spec(*file_);
    ASSERT_TRUE(spec) << spec.error().message;
    const auto model = runtime::Model::load(*file_, placement, std::move(*spec));
    ASSERT_TRUE(model) << model.error().message;
    constexpr size_t kTokens = 4;
    const std::vector<TokenId> ids(kIds.begin(), kIds.begin() + kTokens);
    const auto logits = [&](size_t chunk) {
      const auto context = (*model)->new_context(testing::float_cache());
      EXPECT_TRUE(context) << context.error().message;
      auto all = testing::run_chunked(**context, ids, chunk);
      EXPECT_TRUE(all) << all.error().message;
      return all.value_or(std::vector<float>());
    };
    const std::vector<float> whole = logits(kTokens);
    const size_t before = cuda_emulation::graph_counts().launches;
    EXPECT_TRUE(testing::same_bits(whole, logits(1)));
    EXPECT_EQ(cuda_emulation::graph_counts().launches - before,
              (kTokens - 1) * n_devices * n_steps);
  }

  std::vector<std::byte> bytes_;
  std::unique_ptr<gguf::File> file_;
};

TEST_F(ManySteps, AreGraphsBesideExpertsInMainMemory) {
  constexpr uint32_t kLayers = 20;
  use_model("altered-qwen3moe-experts", kLayers);
  const Backends backends = open({"cpu", "cuda:0"});
  runtime::Placement placement = on(backends);
  placement.layers.assign(kLayers, 1);
  placement.experts.assign(kLayers, 0);
  check(placement, 1, kLayers + 1);
}

TEST_F(ManySteps, AreGraphsWhereGpusMeetInMainMemory) {
  constexpr uint32_t kLayers = 10;
  use_model("llama-dense", kLayers);
  const Backends backends = open({"cuda:0", "cuda:1"});
  runtime::Placement placement = on(backends);
  placement.tensors = true;
  check(placement, 2, 2 * kLayers + 1);
}

}  // namespace
}  // namespace llmrun
