// Adapters on emulated GPUs: each has what they change of its layers, the plan counts it, and the
// answers are the CPU's.
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <deque>
#include <fstream>

#include "cuda_emulation/two_gpus.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "kernels/cuda/sizes.h"
#include "paths.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMiB = size_t{1} << 20;
constexpr uint64_t kRank = 700;  // so large that a plan without it would be felt

class CudaAdapters : public TwoGpus {
 protected:
  CudaAdapters()
      : path_(fs::path(::testing::TempDir()) / ("adapter-" + std::to_string(::getpid()))) {}
  ~CudaAdapters() override { fs::remove(path_); }

  // Changes every matrix of the model.
  void use_model(const std::string& name) {
    model_ = fs::path(tests::kSourceDir) / "tests/data/archs" / (name + ".gguf");
    const auto file = gguf::File::open(model_.string()).value();
    gguf::Writer writer;
    writer.add_metadata("general.type", "adapter");
    writer.add_metadata("general.architecture",
                        file.metadata().get<std::string>("general.architecture").value());
    writer.add_metadata("adapter.type", "lora");
    std::deque<std::vector<float>> kept;
    const auto add = [&](const std::string& tensor, std::vector<uint64_t> dims) {
      std::vector<float>& values = kept.emplace_back(dims[0] * dims[1] * dims[2]);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = 0.08F * std::sin(static_cast<float>(i % 1009 * (kept.size() + 11)));
      }
      constexpr uint32_t kF32 = 0;
      writer.add_tensor(tensor, kF32, dims, std::as_bytes(std::span(values)));
    };
    changed_.clear();
    tied_ = file.find_tensor("output.weight") == nullptr;
    for (const gguf::TensorInfo& tensor : file.tensors()) {
      const std::string own(tensor.name);
      if (tensor.n_dims < 2 || !own.ends_with(".weight")) continue;
      const uint64_t n_in = tensor.dims[0], n_out = tensor.dims[1], n = tensor.dims[2];
      const bool is_table = own == "token_embd.weight";
      add(own + ".lora_a", {is_table ? kRank : n_in, is_table ? n_out : kRank, n});
      add(own + ".lora_b", {kRank, is_table ? n_in : n_out, n});
      const auto aligned = [](uint64_t floats) {
        return kernels::cuda::aligned(floats * sizeof(float));
      };
      changed_.emplace_back(own, aligned(kRank * n_in * n) + aligned(kRank * n_out * n));
    }
    const auto bytes = writer.to_bytes().value();
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  // What the adapter has for tensors whose names begin so. A table that is the head, too, is
  // changed as both.
  [[nodiscard]] size_t bytes_for(const std::string& prefix) const {
    size_t sum = 0;
    for (const auto& [name, bytes] : changed_) {
      if (name.starts_with(prefix)) sum += bytes;
    }
    return sum;
  }
  [[nodiscard]] size_t bytes_for_head() const {
    return bytes_for(tied_ ? "token_embd.weight" : "output.weight");
  }
  [[nodiscard]] size_t all_bytes() const { return bytes_for("") + (tied_ ? bytes_for_head() : 0); }

  Result<Model> open(LoadOptions options, bool adapted) {
    options.threads = 1;
    options.context = context();
    if (adapted) options.adapters = {{path_, 4.0F}};
    options.tell = [this](const std::string& line) { told_.push_back(line); };
    told_.clear();
    return Model::open(model_, options);
  }
  // The bytes of a device that a model takes, with the adapter more than without.
  std::array<size_t, 2> taken_for_adapter(const LoadOptions& options,
                                          const std::vector<TokenId>& expected) {
    std::array<size_t, 2> bytes{};
    for (const bool adapted : {false, true}) {
      const auto model = open(options, adapted);
      EXPECT_TRUE(model) << model.error().message;
      if (!model) return {};
      for (int device = 0; device < 2; ++device) {
        size_t& own = bytes[static_cast<size_t>(device)];
        own = cuda_emulation::allocated_bytes(device) - own;
      }
      if (adapted) {
        EXPECT_EQ(answer(*model), expected) << model->device();
      }
    }
    return bytes;
  }
  // The least memory of cards with which it holds, to 4 KiB.
  template <typename Holds>
  size_t least_room(const Holds& holds) {
    size_t too_small = 20 * kMiB, enough = 400 * kMiB;
    while (enough - too_small > 4096) {
      const size_t room = too_small + (enough - too_small) / 2;
      cuda_emulation::options().device_bytes = room;
      (holds() ? enough : too_small) = room;
    }
    cuda_emulation::options().device_bytes = enough;
    return enough;
  }

  fs::path model_, path_;
  std::vector<std::pair<std::string, size_t>> changed_;
  bool tied_ = false;
  std::vector<std::string> told_;
};

TEST_F(CudaAdapters, EveryDeviceHasWhatTheyChangeOfItsLayers) {
  for (const char* name : {"llama-dense", "altered-gemma3-window", "altered-qwen3moe-experts"}) {
    SCOPED_TRACE(name);
    use_model(name);
    const auto cpu = open({.device = "cpu"}, true);
    ASSERT_TRUE(cpu) << cpu.error().message;
    const std::vector<TokenId> expected = answer(*cpu);
    ASSERT_EQ(expected.size(), kAnswerTokens);
    if (!tied_) {  // (the other one repeats a token whatever one does to it)
      EXPECT_NE(expected, answer(*open({.device = "cpu"}, false)));
    }
    using Bytes = std::array<size_t, 2>;
    EXPECT_EQ(taken_for_adapter({.device = "cuda"}, expected), (Bytes{all_bytes(), 0}));
    // The last layer, and the head.
    size_t n_layers = 0;
    while (bytes_for("blk." + std::to_string(n_layers) + ".") > 0) ++n_layers;
    const std::string last = "blk." + std::to_string(n_layers - 1) + ".";
    EXPECT_EQ(taken_for_adapter({.device = "cuda", .gpu_layers = 1}, expected),
              (Bytes{bytes_for(last) + bytes_for_head(), 0}));
    const Bytes two = taken_for_adapter({.device = "cuda:0,1"}, expected);
    EXPECT_EQ(two[0] + two[1], all_bytes());
    EXPECT_GE(two[1], bytes_for(last) + bytes_for_head());
    if (bytes_for("blk.0.ffn_gate_exps") == 0) continue;
    size_t of_experts = 0;
    for (const char* part : {"gate", "up", "down"}) {
      of_experts += bytes_for(std::string("blk.0.ffn_") + part + "_exps.weight");
    }
    EXPECT_EQ(taken_for_adapter({.device = "cuda", .cpu_experts = 1}, expected),
              (Bytes{all_bytes() - of_experts, 0}));
  }
}

TEST_F(CudaAdapters, AreAPartOfThePlanOfACard) {
  use_model("llama-dense");
  const std::vector<TokenId> expected = answer(*open({.device = "cpu"}, true));
  std::array<size_t, 2> room{};
  for (const bool adapted : {false, true}) {
    room[adapted ? 1 : 0] = least_room([&] {
      const auto model = open({.device = "cuda"}, adapted);
      EXPECT_TRUE(model) << model.error().message;
      return model && told_.empty();  // all layers are on the card
    });
    const auto model = open({.device = "cuda"}, adapted);
    ASSERT_TRUE(model) << model.error().message;
    if (adapted) {
      EXPECT_EQ(answer(*model), expected);
    }
  }
  // And what products of that rank take besides: activations and scratch of the kernels.
  EXPECT_GE(room[1], room[0] + all_bytes());
  EXPECT_LE(room[1], room[0] + all_bytes() + 4 * kMiB);
}

TEST_F(CudaAdapters, AreAPartOfEveryShareOfATensorSplit) {
  use_model("llama-dense");
  const std::vector<TokenId> expected = answer(*open({.device = "cpu"}, true));
  const LoadOptions shared{.device = "cuda:0,1", .split_tensors = true};
  const auto bytes = taken_for_adapter(shared, expected);
  EXPECT_GE(bytes[0] + bytes[1], all_bytes());  // some of it each has whole
  std::array<size_t, 2> room{};
  for (const bool adapted : {false, true}) {
    room[adapted ? 1 : 0] = least_room([&] { return open(shared, adapted).has_value(); });
    const auto model = open(shared, adapted);
    ASSERT_TRUE(model) << model.error().message;
    if (adapted) {
      EXPECT_EQ(answer(*model), expected);
    }
  }
  EXPECT_GE(room[1], room[0] + std::max(bytes[0], bytes[1]));
  EXPECT_LE(room[1], room[0] + std::max(bytes[0], bytes[1]) + 4 * kMiB);
}

}  // namespace
}  // namespace llmrun
