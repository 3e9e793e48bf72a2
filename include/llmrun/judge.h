// Judging a model against another one, or against what was recorded of another one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/model.h"
#include "llmrun/tools.h"

namespace llmrun {

// A mean over positions, and one standard error of it.
struct Mean {
  double value = 0;
  double standard_error = 0;
};

// How the predictions of a model differ from those of a base, over the same positions of a text.
struct Agreement {
  Mean kl_divergence;  // nats per position, of the model from the base: sum p_base ln(p_base / p)
  Mean same_top;       // share of positions whose most probable token is the same
  int64_t n_positions = 0;
};

// What `llmrun logits --top K` wrote: the K most probable ids of every position of a text, best
// first, and their natural log-probabilities.
struct TopPredictions {
  int64_t n_tokens = 0;
  int64_t k = 0;
  std::vector<int32_t> ids;              // [n_tokens, k]
  std::vector<float> log_probabilities;  // [n_tokens, k]
};
// Reads NAME.ids.npy and NAME.logprobs.npy, given NAME, NAME.npy or either file.
LLMRUN_API Result<TopPredictions> read_top_predictions(const std::string& path);

struct JudgedText {
  Perplexity perplexity;  // over all positions but the first
  Agreement agreement;
};
// What judge_against() opens: for LoadOptions::context.
LLMRUN_API ContextOptions judge_context(const TopPredictions& base);
// Reads the text as one context, as `logits` does, and compares position by position. Of the base
// only K probabilities are known, so the divergence is that of K + 1 outcomes: the K ids and "any
// other token". It is never above the divergence over the whole vocabulary, and close to it when
// the K best hold nearly all the probability.
LLMRUN_API Result<JudgedText> judge_against(
    const Model& model, std::string_view text, const TopPredictions& base,
    const std::function<Result<void>(const JudgedText&, double share)>& progress = {});

struct CompareOptions {
  std::string text;
  int64_t context_tokens = 512;  // per window; the second half of each is scored
  int64_t prompt_tokens = 512;   // of the speed test; 0: none
  int64_t decode_tokens = 32;    // of the speed test; 0: none
  int repetitions = 3;           // of the speed test
  LoadOptions load;
  std::function<Result<void>(std::string_view what, double share)> progress;
};
struct ComparedModel {
  std::filesystem::path path;
  std::string name;
  uint64_t file_bytes = 0;
  double bits_per_weight = 0;
  uint64_t memory_bytes = 0;  // the plan for context_tokens
  double prompt_tokens_per_second = 0;
  double decode_tokens_per_second = 0;
  Perplexity perplexity;
};
struct Comparison {
  ComparedModel base, other;
  // Absent when the vocabularies differ: perplexities per token cannot be compared then, either.
  std::optional<Agreement> agreement;
  // exp(mean difference of the negative log-likelihoods): how many times as perplexed the other
  // model is. The error is that of paired differences, far smaller than those of the perplexities.
  std::optional<Mean> perplexity_ratio;
};
LLMRUN_API Result<Comparison> compare_models(const std::filesystem::path& base,
                                             const std::filesystem::path& other,
                                             const CompareOptions& options);

}  // namespace llmrun
