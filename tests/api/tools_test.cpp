// The instruments: templates, rule of thumb, estimate, benchmark, perplexity, machine.
#include <gmock/gmock.h>

#include <cmath>

#include "api_fixture.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

TEST(RuleOfThumb, AnswersTheTable) {
  // M = P * 4 bytes * 1.2 / (32 / Q), in GB for the sizes and bits of the published table.
  const std::vector<std::vector<double>> wanted = {{1.5, 0.9, 1.8, 3.6},
                                                   {7, 4.2, 8.4, 16.8},
                                                   {9, 5.4, 10.8, 21.6},
                                                   {40, 24, 48, 96},
                                                   {70, 42, 84, 168}};
  for (const auto& row : wanted) {
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(rule_of_thumb_bytes(row[0] * 1e9, 4 << i) / 1e9, row[i + 1], 1e-9);
    }
  }
}

TEST(RenderTemplate, RendersJson) {
  TemplateCase input;
  input.source =
      "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
      "{{ strftime_now('%Y-%m-%d %H:%M') }}";
  input.name = "test";
  input.input_json = R"({"messages": [{"role": "user", "content": "Hi "}]})";
  input.bos_token = "<s>";
  input.now = 1767323045;
  EXPECT_EQ(must(render_template(input)), "<s>Hi 2026-01-02 03:04");
  input.source = "{{ raise_exception('no such role') }}";
  EXPECT_THAT(render_template(input).error().message, HasSubstr("no such role"));
  input.input_json = "not json";
  EXPECT_FALSE(render_template(input));
}

TEST(Estimate, ItemsAddUpAndFollowTheOptions) {
  const MemoryEstimate plan = must(estimate_memory(tiny_chat_path(), {}));
  uint64_t sum = 0;
  for (const MemoryItem& item : plan.items) sum += item.bytes;
  EXPECT_EQ(sum, plan.total_bytes);
  EXPECT_EQ(plan.context_tokens, 1024);
  EXPECT_TRUE(plan.fits);
  EXPECT_GT(plan.available_bytes, plan.total_bytes);
  EXPECT_GT(must(estimate_memory(tiny_chat_path(), {.context_tokens = 4096})).total_bytes,
            plan.total_bytes);
  EXPECT_GT(must(estimate_memory(tiny_chat_path(), {.max_sequences = 4})).total_bytes,
            plan.total_bytes);
  ContextOptions small;
  small.k_type = small.v_type = "int8";
  EXPECT_LT(must(estimate_memory(tiny_chat_path(), small)).total_bytes, plan.total_bytes);
  // What a session says it took is the same plan.
  const Model model = must(Model::open(tiny_chat_path()));
  const Session session = must(model.new_session());
  EXPECT_NEAR(static_cast<double>(session.memory().total_bytes),
              static_cast<double>(plan.total_bytes), 4096);
}

TEST(Estimate, WhatCannotFitIsAnErrorNotACrash) {
  const MemoryEstimate plan =
      must(estimate_memory(tiny_chat_path(), {.context_tokens = int64_t{1} << 30}));
  EXPECT_FALSE(plan.fits);
  const Model model = must(Model::open(tiny_chat_path()));
  const auto session = model.new_session({.context_tokens = int64_t{1} << 30});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kOutOfMemory);
}

// A barrier costs microseconds, a layer of a small model a hundred. (On a crowded machine the pool
// goes on with one thread, and there are none.)
TEST(Bench, ThreadsMeetAtMostSixTimesALayer) {
  LLMRUN_REAL_MODEL(path, "SmolLM2-135M-Instruct.Q4_1.gguf");
  constexpr int kLayers = 30;
  const Model model = must(Model::open(path, {.threads = 2}));
  BenchOptions options;
  options.prompt_tokens = {};
  options.decode_tokens = {8};
  options.repetitions = 1;
  const auto results = must(bench(model, options, MachinePeak()));
  EXPECT_LE(results.at(0).barriers_per_step, 6 * kLayers);
}

TEST(Bench, MeasuresWhatItIsAskedFor) {
  const Model model = must(Model::open(tiny_chat_path(), {.threads = 1}));
  BenchOptions options;
  options.prompt_tokens = {32};
  options.decode_tokens = {8};
  options.depths = {0, 64};
  options.repetitions = 2;
  MachinePeak peak;
  peak.read_gigabytes_per_second = 10;
  peak.f32_gigaflops_per_second = 100;
  std::vector<std::string> told;
  const auto results =
      must(bench(model, options, peak, [&](std::string_view text) { told.emplace_back(text); }));
  std::vector<std::string> names;
  for (const BenchResult& result : results) {
    names.push_back(result.test);
    EXPECT_GT(result.tokens_per_second, 0);
    EXPECT_EQ(result.samples.size(), 2U);
  }
  EXPECT_THAT(names, testing::ElementsAre("pp32", "tg8", "pp32@d64", "tg8@d64"));
  EXPECT_EQ(told.size(), 4U);
  EXPECT_GT(results[0].gigaops_per_second, 0);
  EXPECT_NEAR(results[0].share_of_peak, results[0].gigaops_per_second / 100, 1e-9);
  EXPECT_NEAR(results[1].share_of_bandwidth, results[1].gigabytes_per_second / 10, 1e-9);
  options.repetitions = 0;
  EXPECT_FALSE(bench(model, options, peak));
}

TEST(Perplexity, IsThatOfTheLogits) {
  const Model model = must(Model::open(tiny_chat_path()));
  std::string text;
  for (int i = 0; i < 60; ++i) text += "the rest of it ";
  double last_share = 0;
  const Perplexity p =
      must(perplexity(model, text, 64, [&](const Perplexity&, double share) -> Result<void> {
        EXPECT_GT(share, last_share);
        last_share = share;
        return {};
      }));
  EXPECT_EQ(last_share, 1.0);
  // Noise as weights: about as good as guessing among the 128 tokens, and certainly finite.
  EXPECT_GT(p.perplexity, 5);
  EXPECT_LT(p.perplexity, 128e3);
  EXPECT_NEAR(p.perplexity, std::exp(p.mean_nll), 1e-6 * p.perplexity);
  EXPECT_GT(p.standard_error, 0);

  // The first window by hand.
  const auto all = must(model.tokenize(text, {.add_special = false}));
  std::vector<TokenId> window = {1};
  window.insert(window.end(), all.begin(), all.begin() + 63);
  Session session = must(model.new_session({.context_tokens = 64}));
  double nll = 0;
  int n = 0;
  ASSERT_TRUE(session.logits(
      window, [&](int64_t first, int64_t n_rows, std::span<const float> rows) -> Result<void> {
        for (int64_t i = 0; i < n_rows; ++i) {
          const auto next = static_cast<size_t>(first + i + 1);
          if (next < 32 || next >= 64) continue;
          const auto row = rows.subspan(static_cast<size_t>(i) * 128, 128);
          double sum = 0;
          for (const float x : row) sum += std::exp(static_cast<double>(x));
          nll += std::log(sum) - static_cast<double>(row[static_cast<size_t>(window[next])]);
          ++n;
        }
        return {};
      }));
  const std::string start = must(model.detokenize(std::span(all).first(63), false));
  const Perplexity single = must(perplexity(model, start, 64));
  EXPECT_EQ(single.n_tokens, n);
  EXPECT_NEAR(single.mean_nll, nll / n, 1e-6);

  EXPECT_FALSE(perplexity(model, "too short", 64));
  EXPECT_FALSE(perplexity(model, text, 2));
}

TEST(Machine, DescribesItself) {
  const MachineInfo info = describe_machine();
  EXPECT_FALSE(info.cpu.empty());
  EXPECT_GE(info.usable_cores, 1);
  EXPECT_GE(info.physical_cores, info.usable_cores);
  EXPECT_FALSE(info.targets.empty());
  EXPECT_FALSE(info.chosen_target.empty());
  EXPECT_GT(info.memory_bytes, info.available_bytes);
  EXPECT_GT(info.available_bytes, uint64_t{1} << 20);
  EXPECT_THAT(std::string(version()), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(Machine, MeasuresEveryTargetItHas) {
  const auto peaks = measure_machine(1);
  size_t n_available = 0;
  for (const CpuTargetInfo& target : describe_machine().targets) n_available += target.available;
  ASSERT_EQ(peaks.size(), n_available);
  for (const MachinePeak& peak : peaks) {
    EXPECT_EQ(peak.threads, 1);
    EXPECT_GT(peak.read_gigabytes_per_second, 0);
    EXPECT_GT(peak.f32_gigaflops_per_second, 1);
    EXPECT_GT(peak.int8_gigaops_per_second, 1);
  }
  EXPECT_GE(peaks.front().f32_gigaflops_per_second, peaks.back().f32_gigaflops_per_second);
}

}  // namespace
}  // namespace llmrun
