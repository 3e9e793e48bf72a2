// The memory estimate against what a process really takes: a child process loads a model, fills
// its context, and tells its memory before and after. And plans for several cards, none of which is
// here.
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "api_fixture.h"

namespace llmrun {
namespace {

// Resident bytes of this process: anonymous memory and pages of files.
uint64_t resident_bytes() {
  std::ifstream file("/proc/self/status");
  std::string word;
  uint64_t total = 0;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if ((word == "RssAnon:" || word == "RssFile:") && file >> kilobytes) total += kilobytes * 1024;
  }
  return total;
}

struct Measured {
  uint64_t growth = 0;
  uint64_t planned = 0;
  uint64_t ok = 0;
};

// Runs the model until its context is full, so that every page it planned has been touched.
Measured use_model(const std::filesystem::path& path, int64_t context_tokens) {
  Measured measured;
  const uint64_t before = resident_bytes();
  const auto model = Model::open(path);
  if (!model) return measured;
  ContextOptions options;
  options.context_tokens = context_tokens;
  options.logits_rows = 64;
  auto session = model->new_session(options);
  if (!session) return measured;
  const auto n_vocab = static_cast<uint64_t>(model->info().vocabulary_size);
  std::vector<TokenId> prompt;
  for (int64_t i = 0; i + 8 < context_tokens; ++i) {
    prompt.push_back(static_cast<TokenId>(static_cast<uint64_t>(i * 977 + 5) % n_vocab));
  }
  GenerateOptions generate;
  generate.ignore_end = true;
  if (!session->complete(prompt, generate)) return measured;
  session->clear();
  const auto ignore = [](int64_t, int64_t, std::span<const float>) { return Result<void>(); };
  if (!session->logits(std::span(prompt).first(64), ignore)) return measured;
  measured.growth = resident_bytes() - before;
  measured.planned = session->memory().total_bytes;
  measured.ok = 1;
  return measured;
}

Measured measure(const std::filesystem::path& path, int64_t context_tokens, bool warm_up) {
  int pipe_ends[2];
  Measured measured;
  if (pipe(pipe_ends) != 0) return measured;
  const pid_t child = fork();
  if (child == 0) {
    // What the library itself takes once, however large the model: its code's pages, its tables.
    if (warm_up) (void)use_model(tiny_chat_path(), 1024);
    const Measured result = use_model(path, context_tokens);
    const bool written = write(pipe_ends[1], &result, sizeof(result)) == sizeof(result);
    _exit(written ? 0 : 1);
  }
  close(pipe_ends[1]);
  if (read(pipe_ends[0], &measured, sizeof(measured)) != sizeof(measured)) measured.ok = 0;
  close(pipe_ends[0]);
  waitpid(child, nullptr, 0);
  return measured;
}

void expect_within(const std::filesystem::path& path, int64_t context_tokens) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "skipped: a sanitizer's own memory is no part of the plan";
#endif
  const Measured measured = measure(path, context_tokens, true);
  ASSERT_EQ(measured.ok, 1U);
  const auto growth = static_cast<double>(measured.growth);
  const auto planned = static_cast<double>(measured.planned);
  std::printf("planned %.1f MB, measured %.1f MB: %+.2f %%\n", planned * 1e-6, growth * 1e-6,
              100 * (growth - planned) / planned);
  EXPECT_NEAR(growth / planned, 1.0, 0.03);
  // `llmrun estimate` says the same as the session.
  ContextOptions options;
  options.context_tokens = context_tokens;
  options.logits_rows = 64;
  EXPECT_NEAR(static_cast<double>(must(estimate_memory(path, options)).total_bytes), planned,
              0.005 * planned);
}

TEST(EstimateAgainstMeasurement, SmolLm2) {
  LLMRUN_REAL_MODEL(path, "SmolLM2-135M-Instruct.Q4_1.gguf");
  expect_within(path, 1024);
}

TEST(EstimateAgainstMeasurement, Gemma3) {
  LLMRUN_REAL_MODEL(path, "gemma-3-270m-q4_k_m.gguf");
  expect_within(path, 512);
}

// Always: a tiny model, whose plan is small beside the code and the heap's slack that any process
// takes once.
TEST(EstimateAgainstMeasurement, TinyModel) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "skipped: a sanitizer's own memory is no part of the plan";
#endif
  const Measured measured = measure(tiny_chat_path(), 4096, false);
  ASSERT_EQ(measured.ok, 1U);
  constexpr uint64_t kSlack = uint64_t{4} << 20;
  EXPECT_GT(measured.growth, measured.planned * 9 / 10);
  EXPECT_LT(measured.growth, measured.planned + kSlack);
}

constexpr uint64_t kGiB = uint64_t{1} << 30;

ContextOptions small_context() {
  ContextOptions options;
  options.context_tokens = 256;
  options.batch_tokens = 32;
  return options;
}

Result<GpuEstimate> plan_for(const char* model, std::vector<GpuKind> kinds, bool split_tensors,
                             std::optional<int64_t> layers = {}) {
  GpuRequest request;
  request.kinds = std::move(kinds);
  request.split_tensors = split_tensors;
  request.layers = layers;
  return estimate_gpu(tiny_path(model), small_context(), request);
}

uint64_t bytes_of(const GpuCardEstimate& card, const std::string& component) {
  for (const MemoryItem& item : card.items) {
    if (item.component == component) return item.bytes;
  }
  return 0;
}

void expect_sums(const GpuEstimate& plan) {
  for (const GpuCardEstimate& card : plan.cards) {
    uint64_t sum = 0;
    for (const MemoryItem& item : card.items) sum += item.bytes;
    EXPECT_EQ(card.total_bytes, sum);
    EXPECT_EQ(card.fits, sum <= card.memory_bytes);
  }
}

TEST(EstimateForCards, DividesLayersByMemory) {
  const auto plan =
      must(plan_for("altered-gemma3-window", {{"rtx4090", 0, 0}, {"", 8 * kGiB, 500e9}}, false));
  ASSERT_EQ(plan.cards.size(), 2U);
  expect_sums(plan);
  EXPECT_EQ(plan.cards[0].name, "GeForce RTX 4090");
  EXPECT_EQ(plan.cards[0].memory_bytes, 24 * kGiB);
  EXPECT_EQ(plan.cards[1].memory_bytes, 8 * kGiB);
  EXPECT_EQ(plan.cards[0].n_layers + plan.cards[1].n_layers, plan.n_layers_all);
  EXPECT_GT(plan.cards[0].n_layers, plan.cards[1].n_layers);
  EXPECT_GT(plan.cards[1].n_layers, 0);
  EXPECT_TRUE(plan.whole && plan.fits);
  EXPECT_EQ(plan.n_exchanges, 0);
  EXPECT_GT(plan.most_tokens_per_second, 0);
}

TEST(EstimateForCards, SharesEveryLayer) {
  const GpuKind card{"", 8 * kGiB, 1e6};  // so slow that the exchange is little
  const auto whole = must(plan_for("llama-dense", {card}, false));
  const auto plan = must(plan_for("llama-dense", {card, card}, true));
  ASSERT_EQ(plan.cards.size(), 2U);
  expect_sums(plan);
  EXPECT_TRUE(plan.whole && plan.fits);
  for (const GpuCardEstimate& share : plan.cards) {
    EXPECT_EQ(share.n_layers, plan.n_layers_all);
    EXPECT_LT(bytes_of(share, "weights"), bytes_of(whole.cards[0], "weights"));
    EXPECT_EQ(2 * bytes_of(share, "KV cache"), bytes_of(whole.cards[0], "cache"));
  }
  EXPECT_GE(bytes_of(plan.cards[0], "weights") + bytes_of(plan.cards[1], "weights"),
            bytes_of(whole.cards[0], "weights"));
  // Of about a half, and of an exchange after each of two blocks of a layer.
  EXPECT_EQ(plan.n_exchanges, 2 * plan.n_layers_all);
  EXPECT_GT(plan.exchange_bytes, 0U);
  // (The feed-forward has three blocks of columns, of which one card has two.)
  const double without = 1 / plan.most_tokens_per_second - plan.exchange_seconds;
  EXPECT_NEAR(without * whole.most_tokens_per_second, 0.55, 0.05);
  // The card that takes longest counts; with one whose speed is not known there is none.
  const auto uneven = must(plan_for("llama-dense", {{"", kGiB, 1e9}, card}, true));
  EXPECT_NEAR(uneven.most_tokens_per_second, plan.most_tokens_per_second,
              0.01 * plan.most_tokens_per_second);
  EXPECT_EQ(must(plan_for("llama-dense", {{"", kGiB, 0}, card}, true)).most_tokens_per_second, 0);
}

// Bytes of a model's file that one token reads, counted by the names of tensors: all that layers
// [first, last] have (of experts the share that a token uses), or with last == -1 the head.
struct FileBytes {
  explicit FileBytes(const char* model) : info(must(inspect_model(tiny_path(model)))) {}
  [[nodiscard]] double layers(int first, int last, bool of_experts, double share) const {
    double sum = 0;
    for (const TensorEntry& tensor : info.tensors) {
      int layer = -1;
      if (tensor.name == "rope_freqs.weight") layer = 0;  // of all, counted at the first
      if (layer < 0 && std::sscanf(tensor.name.c_str(), "blk.%d.", &layer) != 1) continue;
      if (layer < first || layer > last) continue;
      const bool is_expert = tensor.name.find("_exps") != std::string::npos;
      if (is_expert == of_experts) sum += share * static_cast<double>(tensor.bytes);
    }
    return sum;
  }
  [[nodiscard]] double head() const {
    double sum = 0, table = 0, output = 0;
    for (const TensorEntry& tensor : info.tensors) {
      const auto bytes = static_cast<double>(tensor.bytes);
      if (tensor.name == "output_norm.weight") sum += bytes;
      if (tensor.name == "output.weight") output = bytes;
      if (tensor.name == "token_embd.weight") table = bytes;
    }
    return sum + (output > 0 ? output : table);  // of a table alone one row is read: nothing
  }
  ModelInfo info;
};

// The last layer and the head on a card, what is before it in main memory.
TEST(EstimateForCards, TellsTheSpeedWithLayersInMainMemory) {
  const FileBytes file("llama-dense");
  GpuRequest request;
  request.kinds = {{"", 8 * kGiB, 1e6}};  // so slow that bytes count beside crossings
  request.host_bytes_per_second = 1e5;
  const auto whole = must(estimate_gpu(tiny_path("llama-dense"), small_context(), request));
  const auto n = static_cast<int>(whole.n_layers_all);
  const double cache = static_cast<double>(bytes_of(whole.cards[0], "cache")) / n;
  EXPECT_EQ(whole.host_bytes_per_second, 0);  // it is not needed
  request.layers = 1;
  const auto plan = must(estimate_gpu(tiny_path("llama-dense"), small_context(), request));
  const double on_card = file.layers(n - 1, n - 1, false, 1.0) + file.head() + cache;
  const double on_host = file.layers(0, n - 2, false, 1.0) + (n - 1) * cache;
  EXPECT_DOUBLE_EQ(static_cast<double>(plan.cards[0].read_bytes), on_card);
  EXPECT_DOUBLE_EQ(static_cast<double>(plan.host_read_bytes), on_host);
  EXPECT_EQ(plan.n_crossings, 1);
  EXPECT_GT(plan.crossing_seconds, 0);
  EXPECT_DOUBLE_EQ(plan.most_tokens_per_second,
                   1 / (on_card / 1e6 + on_host / 1e5 + plan.crossing_seconds));
  EXPECT_FALSE(plan.host_speed_measured);
}

// Of experts in main memory only those count that a token uses: 2 of 4.
TEST(EstimateForCards, TellsTheSpeedWithExpertsInMainMemory) {
  const char* const model = "altered-qwen3moe-experts";
  const FileBytes file(model);
  GpuRequest request;
  request.kinds = {{"", 8 * kGiB, 3e6}, {"", 8 * kGiB, 5e6}};
  request.host_bytes_per_second = 2e6;
  request.cpu_experts = 1;
  const auto plan = must(estimate_gpu(tiny_path(model), small_context(), request));
  const auto n = static_cast<int>(plan.n_layers_all);
  double used = 0;
  ASSERT_GT(plan.n_layers_all, 1);
  for (const auto& [key, value] : file.info.metadata) {
    if (key == "qwen3moe.expert_used_count") used += std::stod(value);
  }
  for (const auto& [key, value] : file.info.metadata) {
    if (key == "qwen3moe.expert_count") used /= std::stod(value);
  }
  ASSERT_GT(used, 0);
  ASSERT_LT(used, 1);
  const int first = static_cast<int>(plan.cards[0].n_layers);
  const double one = file.layers(0, first - 1, false, 1.0) + file.layers(1, first - 1, true, used);
  const double two =
      file.layers(first, n - 1, false, 1.0) + file.layers(first, n - 1, true, used) + file.head();
  const double caches[] = {static_cast<double>(bytes_of(plan.cards[0], "cache")),
                           static_cast<double>(bytes_of(plan.cards[1], "cache"))};
  EXPECT_NEAR(static_cast<double>(plan.cards[0].read_bytes), one + caches[0], 16);
  EXPECT_NEAR(static_cast<double>(plan.cards[1].read_bytes), two + caches[1], 16);
  EXPECT_NEAR(static_cast<double>(plan.host_read_bytes), file.layers(0, 0, true, used), 16);
  EXPECT_EQ(plan.n_crossings, 3);  // to the experts and back, and to the second card
  const double seconds = (one + caches[0]) / 3e6 + (two + caches[1]) / 5e6 +
                         file.layers(0, 0, true, used) / 2e6 + plan.crossing_seconds;
  EXPECT_NEAR(plan.most_tokens_per_second * seconds, 1, 1e-4);
}

TEST(EstimateForCards, MeasuresMainMemoryWhenItsSpeedIsNeeded) {
  const auto plan = must(plan_for("llama-dense", {{"", 8 * kGiB, 1e12}}, false, 1));
  EXPECT_TRUE(plan.host_speed_measured);
  EXPECT_GT(plan.host_bytes_per_second, 1e8);
  EXPECT_LT(plan.host_bytes_per_second, 1e13);
  EXPECT_GT(plan.most_tokens_per_second, 0);
  // Of a card whose speed is not known there is none to tell, and so nothing to measure.
  const auto unknown = must(plan_for("llama-dense", {{"", 8 * kGiB, 0}}, false, 1));
  EXPECT_EQ(unknown.most_tokens_per_second, 0);
  EXPECT_FALSE(unknown.host_speed_measured);
}

TEST(EstimateForCards, TellsWhichCardIsTooSmall) {
  const auto plan = must(plan_for("llama-dense", {{"", 2 * kGiB, 0}, {"", kGiB / 2, 0}}, true));
  expect_sums(plan);
  EXPECT_TRUE(plan.cards[0].fits);
  EXPECT_FALSE(plan.cards[1].fits);
  EXPECT_FALSE(plan.fits);
}

TEST(EstimateForCards, RefusesWhatCannotBe) {
  const GpuKind card{"rtx4090", 0, 0};
  const auto error_of = [](const Result<GpuEstimate>& plan) {
    EXPECT_FALSE(plan);
    return plan ? std::string() : plan.error().message;
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(error_of(plan_for("llama-dense", {card}, true)), "for several GPUs");
  has(error_of(plan_for("llama-dense", {card, card}, true, 1)), "--gpu-layers has no effect");
  has(error_of(plan_for("altered-mamba-norms", {card, card}, true)), "--split-mode layer");
  has(error_of(plan_for("llama-dense", std::vector<GpuKind>(65, card), false)), "64 cards");
  GpuRequest request;
  request.device = "cuda:0,1";
  request.kinds = {card, card, card};
  has(error_of(estimate_gpu(tiny_path("llama-dense"), small_context(), request)), "2 cards");
  request.kinds = {card, card};
  request.host_bytes_per_second = 5e10;
  request.split_tensors = true;
  has(error_of(estimate_gpu(tiny_path("llama-dense"), small_context(), request)),
      "--host-bandwidth has no effect with --split-mode tensor");
  request.split_tensors = false;
  request.kinds = {{"", 8 * kGiB, 0}};
  has(error_of(estimate_gpu(tiny_path("llama-dense"), small_context(), request)),
      "give --bandwidth or --gpu too");
}

}  // namespace
}  // namespace llmrun
