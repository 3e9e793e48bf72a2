// Models opened through the public API on emulated GPUs: --gpu-layers, --cpu-experts,
// --strict-device and lists of devices do what they say, what does not fit stays on the CPU, and
// the answers are the same.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <deque>

#include "cuda_emulation/two_gpus.h"
#include "gguf/writer.h"
#include "kernels/cuda/sizes.h"
#include "paths.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMiB = size_t{1} << 20;

class CudaOpen : public TwoGpus {
 protected:
  Result<Model> open(const std::string& device, std::optional<int64_t> gpu_layers = {},
                     bool strict = false, bool split_tensors = false,
                     std::optional<int64_t> cpu_experts = {}) {
    LoadOptions options;
    options.cpu_experts = cpu_experts;
    options.split_tensors = split_tensors;
    options.device = device;
    options.threads = 1;
    options.gpu_layers = gpu_layers;
    options.strict_device = strict;
    options.context = context();
    options.tell = [this](const std::string& line) { told_.push_back(line); };
    told_.clear();
    return Model::open(path_, options);
  }
  std::filesystem::path path_ =
      std::filesystem::path(tests::kSourceDir) / "tests/data/archs/altered-gemma3-window.gguf";
  std::vector<std::string> told_;
};

TEST_F(CudaOpen, AnswersAreThoseOfTheCpuWhereverLayersLie) {
  const auto cpu = open("cpu");
  ASSERT_TRUE(cpu) << cpu.error().message;
  EXPECT_TRUE(told_.empty());
  const std::vector<TokenId> expected = answer(*cpu);
  ASSERT_EQ(expected.size(), 8U);
  for (const int64_t n : {0, 1, 2, 1000}) {
    const auto model = open("cuda", n);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(answer(*model), expected) << n << " layers on the GPU: " << model->device();
    EXPECT_EQ(told_.size(), n < 1000 ? 1U : 0U) << n;
    if (n == 1) {
      EXPECT_THAT(told_.front(), HasSubstr("1 of "));
      EXPECT_THAT(told_.front(), HasSubstr("layers on cuda:0"));
      EXPECT_THAT(told_.front(), HasSubstr("on the CPU ("));
      EXPECT_THAT(model->device(), HasSubstr("cpu ("));
      EXPECT_THAT(model->device(), HasSubstr("cuda:0 (sm_90"));
    }
  }
  const auto automatic = open("auto");
  ASSERT_TRUE(automatic) << automatic.error().message;
  EXPECT_THAT(automatic->device_reason(), HasSubstr("the first of 2 GPUs"));
  EXPECT_EQ(answer(*automatic), expected);
}

TEST_F(CudaOpen, SeveralGpusDivideTheLayers) {
  const std::vector<TokenId> expected = answer(*open("cpu"));
  const auto model = open("cuda:0,1");
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_THAT(told_.front(), HasSubstr("layers on cuda:0, "));
  EXPECT_THAT(told_.front(), HasSubstr("layers on cuda:1"));
  EXPECT_GT(cuda_emulation::allocated_bytes(0), 0U);
  EXPECT_GT(cuda_emulation::allocated_bytes(1), 0U);
  EXPECT_EQ(answer(*model), expected);
  EXPECT_FALSE(open("cuda:0,2"));
  EXPECT_FALSE(open("cuda:0,0"));
}

// Each has a share of every layer, on a thread of its own; nothing runs before a host waits.
TEST_F(CudaOpen, SeveralGpusShareEveryLayer) {
  for (const char* name : {"altered-gemma3-window", "llama-dense", "altered-qwen3moe-experts"}) {
    SCOPED_TRACE(name);
    path_.replace_filename(std::string(name) + ".gguf");
    const std::vector<TokenId> expected = answer(*open("cpu"));
    for (const bool with_nccl : {false, true}) {
      use_nccl(with_nccl ? LLMRUN_FAKE_NCCL : "off");
      const auto model = open("cuda:0,1", {}, false, true);
      ASSERT_TRUE(model) << model.error().message;
      ASSERT_EQ(told_.size(), 1U);
      EXPECT_THAT(told_.front(), HasSubstr("a share of every layer on each of cuda:0, cuda:1"));
      EXPECT_THAT(told_.front(),
                  HasSubstr(with_nccl ? "parts of sums go through NCCL 2."
                                      : "through main memory (NCCL is switched off"));
      EXPECT_EQ(answer(*model), expected);
    }
  }
}

// A library that cannot be a part of graphs is not used, and a line says so.
TEST_F(CudaOpen, GpusMeetInMainMemoryWhereNcclIsTooOld) {
  path_.replace_filename("llama-dense.gguf");
  std::vector<float> bits[2];
  for (const bool is_old : {false, true}) {
    use_nccl(is_old ? LLMRUN_FAKE_NCCL_OLD : "off");
    const auto model = open("cuda:0,1", {}, false, true);
    ASSERT_TRUE(model) << model.error().message;
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_.front(), HasSubstr("parts of sums go through main memory (" +
                                         (is_old ? std::string(LLMRUN_FAKE_NCCL_OLD) +
                                                       " is NCCL of a version before 2.9.0)"
                                                 : "NCCL is switched off (LLMRUN_NCCL=off))")));
    auto session = model->new_session(context());
    ASSERT_TRUE(session) << session.error().message;
    const std::vector<TokenId> text = {3, 17, 64, 5, 99};
    std::vector<float>& all = bits[is_old ? 1 : 0];
    const auto done = session->logits(text, [&](int64_t, int64_t, std::span<const float> rows) {
      all.insert(all.end(), rows.begin(), rows.end());
      return Result<void>();
    });
    ASSERT_TRUE(done) << done.error().message;
  }
  ASSERT_GT(bits[0].size(), 5U);
  ASSERT_EQ(bits[0].size(), bits[1].size());
  EXPECT_EQ(std::memcmp(bits[0].data(), bits[1].data(), bits[0].size() * sizeof(float)), 0);
}

// Cards of this machine are planned for by their names, and no less than what is taken.
TEST_F(CudaOpen, ThePlanOfSharesIsWhatIsTaken) {
  path_.replace_filename("llama-dense.gguf");
  GpuRequest request;
  request.device = "cuda:0,1";
  request.split_tensors = true;
  const auto plan = estimate_gpu(path_, context(), request);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->cards.size(), 2U);
  EXPECT_EQ(plan->cards[1].name, "emulated device (cuda:1)");
  const auto model = open("cuda:0,1", {}, false, true);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(answer(*model).size(), 8U);
  const auto session = model->new_session(context());
  ASSERT_TRUE(session) << session.error().message;
  for (int device = 0; device < 2; ++device) {
    const GpuCardEstimate& card = plan->cards[static_cast<size_t>(device)];
    EXPECT_EQ(card.memory_bytes, cuda_emulation::options().device_bytes);
    uint64_t own = card.total_bytes - kernels::cuda::kGraphsBytes;
    for (const MemoryItem& item : card.items) {
      for (const char* none : {"GPU context", "alignment", "NCCL"}) {
        if (item.component == none) own -= item.bytes;
      }
    }
    const size_t taken = cuda_emulation::allocated_bytes(device);
    EXPECT_GE(taken, own);
    EXPECT_LE(taken, own + kMiB);
  }
  request.device = "cuda:0,2";
  EXPECT_THAT(estimate_gpu(path_, context(), request).error().message,
              HasSubstr("there is no device cuda:2"));
}

TEST_F(CudaOpen, SharingNeedsSeveralGpusWithRoom) {
  const auto message = [&](const char* device, std::optional<int64_t> layers = {}) {
    const auto model = open(device, layers, false, true);
    return model ? std::string() : model.error().message;
  };
  EXPECT_THAT(message("cuda:0"), HasSubstr("--split-mode tensor is for several GPUs"));
  EXPECT_THAT(message("cpu"), HasSubstr("--split-mode tensor has no effect"));
  EXPECT_THAT(message("cuda:0,1", 2), HasSubstr("--gpu-layers has no effect"));
  cuda_emulation::options().device_bytes = 30 * kMiB;
  EXPECT_THAT(message("cuda:0,1"), HasSubstr("the share of cuda:0 needs"));
  cuda_emulation::options().device_bytes = size_t{4} << 30;
  path_.replace_filename("altered-mamba-norms.gguf");
  EXPECT_THAT(message("cuda:0,1"), HasSubstr("--split-mode layer"));
}

// On cards of every size: what was planned is what is taken, and there is always a model in the
// end.
TEST_F(CudaOpen, TakesAsManyLayersAsFitAndNoMoreThanThereIs) {
  const std::vector<TokenId> expected = answer(*open("cpu"));
  size_t too_small = 25 * kMiB, enough = 70 * kMiB;  // for a layer, and for all
  bool divided = false;
  while (!divided && enough - too_small > 1024) {
    const size_t room = too_small + (enough - too_small) / 2;
    cuda_emulation::options().device_bytes = room;
    const auto model = open("cuda");
    ASSERT_TRUE(model) << room << ": " << model.error().message;
    EXPECT_EQ(answer(*model), expected) << model->device();
    const std::string device = model->device();
    const bool has_cpu = device.find("cpu") != std::string::npos;
    const bool has_gpu = device.find("cuda") != std::string::npos;
    divided = has_cpu && has_gpu;
    (has_gpu ? enough : too_small) = room;
    EXPECT_EQ(told_.empty(), has_gpu && !has_cpu);
  }
  EXPECT_TRUE(divided);
  cuda_emulation::options().device_bytes = 30 * kMiB;
  const auto too_many = open("cuda", 2);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(too_many.error().message, HasSubstr("2 layers on cuda:0 need"));
}

class CudaOpenExperts : public CudaOpen {
 protected:
  CudaOpenExperts() { path_.replace_filename("altered-qwen3moe-experts.gguf"); }
  Result<Model> open_with(std::optional<int64_t> cpu_experts, const std::string& device = "cuda") {
    return open(device, {}, false, false, cpu_experts);
  }
};

TEST_F(CudaOpenExperts, StayOnTheCpuAsAskedFor) {
  const std::vector<TokenId> expected = answer(*open("cpu"));
  size_t n_experts = 0;
  for (const int64_t n : {0, 1, 2}) {
    const auto model = open_with(n);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(answer(*model), expected) << "experts of " << n << " layers on the CPU";
    ASSERT_EQ(told_.size(), n > 0 ? 1U : 0U);
    if (n == 0) continue;
    ++n_experts;
    EXPECT_THAT(told_.front(),
                HasSubstr("layers on cuda:0, the experts of " + std::to_string(n) + " on the CPU"));
    EXPECT_THAT(model->device(), HasSubstr("cpu ("));
  }
  EXPECT_EQ(n_experts, 2U);
  const auto two_cards = open_with(1, "cuda:0,1");
  ASSERT_TRUE(two_cards) << two_cards.error().message;
  EXPECT_EQ(answer(*two_cards), expected);
}

TEST_F(CudaOpenExperts, OptionsWithoutEffectAreRefused) {
  const auto refused = [&](const Result<Model>& model, const char* words) {
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kUsage);
    EXPECT_THAT(model.error().message, HasSubstr(words));
  };
  refused(open_with(1000), "--cpu-experts is 1000, and ");
  refused(open_with(1, "cpu"), "--cpu-experts has no effect with --device cpu");
  refused(open("cuda:0,1", {}, false, true, 1), "--cpu-experts has no effect with --split-mode");
  GpuRequest card;
  card.kinds = {{.gpu = "rtx4090"}};
  card.cpu_experts = 1;
  const auto planned = estimate_gpu(path_, context(), card);
  ASSERT_TRUE(planned) << planned.error().message;
  EXPECT_EQ(planned->n_cpu_experts, 1);
  EXPECT_FALSE(planned->whole);
  card.cpu_experts = 1000;
  EXPECT_FALSE(estimate_gpu(path_, context(), card));
  path_.replace_filename("llama-dense.gguf");
  refused(open_with(1), "the model has no experts");
}

// On a card that has room for all but some experts.
TEST_F(CudaOpenExperts, StayOnTheCpuWhereTheyDoNotFit) {
  const std::vector<TokenId> expected = answer(*open("cpu"));
  size_t too_small = 25 * kMiB, enough = 70 * kMiB;
  bool found = false;
  while (!found && enough - too_small > 1024) {
    const size_t room = too_small + (enough - too_small) / 2;
    cuda_emulation::options().device_bytes = room;
    const auto model = open("cuda");
    ASSERT_TRUE(model) << room << ": " << model.error().message;
    EXPECT_EQ(answer(*model), expected) << model->device();
    found = !told_.empty() && told_.front().find("the experts of ") != std::string::npos;
    (told_.empty() ? enough : too_small) = room;
  }
  EXPECT_TRUE(found);
}

// A model is opened for what it is asked for: vectors need less than the context of a long text.
TEST_F(CudaOpen, LayersLeaveRoomForWhatTheModelIsOpenedFor) {
  cuda_emulation::options().device_bytes = 100 * kMiB;
  LoadOptions options;
  options.device = "cuda";
  options.threads = 1;
  options.tell = [this](const std::string& line) { told_.push_back(line); };
  options.context.context_tokens = 1 << 20;
  const auto for_texts = Model::open(path_, options);
  ASSERT_TRUE(for_texts) << for_texts.error().message;
  EXPECT_EQ(told_.size(), 1U);  // some layers, or all, are on the CPU
  options.embedder = EmbedderOptions{.pooling = Pooling::kMean, .max_tokens = 64};
  told_.clear();
  const auto for_vectors = Model::open(path_, options);
  ASSERT_TRUE(for_vectors) << for_vectors.error().message;
  EXPECT_TRUE(told_.empty()) << told_.front();
  options.embedder->pooling.reset();
  const auto without_pooling = Model::open(path_, options);
  ASSERT_FALSE(without_pooling);
  EXPECT_EQ(without_pooling.error().code, ErrorCode::kUsage);
}

// Pages and states of every device go to files and come back.
class CudaPrefixCache : public CudaOpen {
 protected:
  ~CudaPrefixCache() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] Generation ask(const Result<Model>& model) const {
    EXPECT_TRUE(model) << model.error().message;
    if (!model) return {};
    ContextOptions options = context();
    options.context_tokens = 512;
    options.batch_tokens = 64;
    options.prefix_cache = folder_;
    auto session = model->new_session(options);
    EXPECT_TRUE(session) << session.error().message;
    if (!session) return {};
    std::vector<TokenId> prompt;
    for (int i = 0; i < 260; ++i) prompt.push_back(i * i % 120);
    GenerateOptions generate;
    generate.max_tokens = 4;
    generate.sampling.temperature = 0;
    auto generation = session->complete(prompt, generate);
    EXPECT_TRUE(generation) << generation.error().message;
    EXPECT_EQ(session->why_not_kept(), "");
    return generation.value_or(Generation());
  }

  std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ("llmrun_prefixes_" + std::to_string(getpid()));
};

TEST_F(CudaPrefixCache, IsThatOfTheDevicesThatReadTheText) {
  struct Case {
    const char* model;
    const char* device;
    std::optional<int64_t> layers, cpu_experts;
    bool split_tensors = false;
  };
  const Case cases[] = {{"altered-gemma3-window", "cpu", {}, {}},
                        {"altered-gemma3-window", "cuda", 1, {}},
                        {"altered-plamo2-heads", "cuda", 1, {}},
                        {"qwen3moe-moe", "cuda", {}, 1},
                        {"qwen3moe-moe", "cuda:0,1", {}, {}, true}};
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.model) + " on " + c.device);
    path_.replace_filename(std::string(c.model) + ".gguf");
    const auto model = [&] {
      return open(c.device, c.layers, false, c.split_tensors, c.cpu_experts);
    };
    const Generation first = ask(model());
    EXPECT_EQ(first.usage.cached, 0);  // what the other devices kept is none of theirs
    const Generation again = ask(model());
    EXPECT_EQ(again.usage.cached, 256);
    EXPECT_EQ(again.tokens, first.tokens);
    EXPECT_EQ(again.tokens.size(), 4U);
  }
}

TEST_F(CudaOpen, OptionsForAGpuNeedOne) {
  for (const bool strict : {false, true}) {
    const auto model = open("cpu", strict ? std::optional<int64_t>() : 1, strict);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::kUsage);
    EXPECT_THAT(model.error().message, HasSubstr("has no effect with --device cpu"));
  }
}

// A llama of two layers whose keys are wider than the attention of the GPU takes.
class WideKeys {
 public:
  WideKeys() {
    writer_.add_metadata("general.architecture", std::string("llama"));
    const std::vector<std::pair<const char*, uint32_t>> sizes = {{"block_count", 2},
                                                                 {"context_length", 64},
                                                                 {"embedding_length", kWidth},
                                                                 {"feed_forward_length", 16},
                                                                 {"attention.head_count", 1},
                                                                 {"attention.key_length", kKeys},
                                                                 {"attention.value_length", 32},
                                                                 {"rope.dimension_count", 32}};
    for (const auto& [name, value] : sizes) {
      writer_.add_metadata(std::string("llama.") + name, value);
    }
    writer_.add_metadata("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    for (const std::string layer : {"blk.0.", "blk.1."}) {
      add(layer + "attn_q", kWidth, kKeys);
      add(layer + "attn_k", kWidth, kKeys);
      add(layer + "attn_v", kWidth, 32);
      add(layer + "attn_output", 32, kWidth);
      add(layer + "ffn_gate", kWidth, 16);
      add(layer + "ffn_up", kWidth, 16);
      add(layer + "ffn_down", 16, kWidth);
      add(layer + "attn_norm", kWidth, 1);
      add(layer + "ffn_norm", kWidth, 1);
    }
    add("output_norm", kWidth, 1);
    add("token_embd", kWidth, 128);
    add("output", kWidth, 128);
  }
  [[nodiscard]] std::vector<std::byte> bytes() const { return writer_.to_bytes().value(); }

 private:
  static constexpr uint32_t kWidth = 32, kKeys = 1024;

  void add(const std::string& name, uint64_t n_in, uint64_t n_out) {
    std::vector<float>& values = tensors_.emplace_back(n_in * n_out);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = 0.1F * std::sin(static_cast<float>(i * i % 1009 + i)) + 0.02F;
    }
    std::vector<uint64_t> dims{n_in};
    if (n_out > 1) dims.push_back(n_out);
    writer_.add_tensor(name + ".weight", 0, dims, std::as_bytes(std::span(values)));
  }

  gguf::Writer writer_;
  std::deque<std::vector<float>> tensors_;  // the writer refers to them
};

TEST_F(CudaOpen, WhatAGpuCannotRunIsNamedAndRefusedIfAsked) {
  path_ = std::filesystem::path(::testing::TempDir()) / "llmrun_wide_keys.gguf";
  const std::vector<std::byte> bytes = WideKeys().bytes();
  std::FILE* const file = std::fopen(path_.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
  ASSERT_EQ(std::fclose(file), 0);
  {
    const auto cpu = open("cpu");
    ASSERT_TRUE(cpu) << cpu.error().message;
    const auto model = open("cuda");
    ASSERT_TRUE(model) << model.error().message;
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_.front(), HasSubstr("2 on the CPU"));
    EXPECT_THAT(told_.front(), HasSubstr("no GPU kernel for layer 0: attention with keys of 1024"));
    EXPECT_EQ(answer(*model), answer(*cpu));
    const auto strict = open("cuda", {}, true);
    ASSERT_FALSE(strict);
    EXPECT_EQ(strict.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(strict.error().message, HasSubstr("2 of 2 layers cannot run on a GPU"));
    EXPECT_THAT(strict.error().message, HasSubstr("layer 0: attention with keys of 1024"));
    GpuRequest request;
    request.kinds = {{.gpu = "rtx4090"}};
    const auto planned = estimate_gpu(path_, context(), request);
    ASSERT_TRUE(planned) << planned.error().message;
    EXPECT_EQ(planned->host_only.size(), 2U);
    EXPECT_EQ(planned->n_layers, 0);
    request.kinds.resize(2, request.kinds[0]);
    request.split_tensors = true;
    const auto shared = estimate_gpu(path_, context(), request);
    ASSERT_FALSE(shared);
    EXPECT_THAT(shared.error().message, HasSubstr("2 of 2 layers cannot run on a GPU"));
  }
  std::filesystem::remove(path_);
}

}  // namespace
}  // namespace llmrun
