// Perplexity of a text with its error bar, alone and against what was recorded of another model.
#include <cmath>

#include "api/score.h"
#include "base/error.h"
#include "base/npy.h"

namespace llmrun {
namespace {

constexpr int64_t kRowsAtOnce = 64;  // of logits

std::span<const float> row_of(std::span<const float> rows, int64_t n_rows, int64_t i) {
  const size_t n_vocab = rows.size() / static_cast<size_t>(n_rows);
  return rows.subspan(static_cast<size_t>(i) * n_vocab, n_vocab);
}

Result<void> check_ids(const TopPredictions& base) {
  for (const float value : base.log_probabilities) {
    if (value <= 1e-3F && !std::isnan(value)) continue;
    return make_error(ErrorCode::kBadModel,
                      "the base holds {}, which is no logarithm of a probability", value);
  }
  return {};
}

// The base was made of the same text with the same vocabulary, as far as can be told.
Result<void> check_base(const TopPredictions& base, size_t n_tokens, int64_t n_vocab) {
  if (base.n_tokens != static_cast<int64_t>(n_tokens)) {
    return make_error(
        ErrorCode::kUsage,
        "the base was recorded over {} tokens and the text has {} with this model: it "
        "is another text, or a model with another vocabulary",
        base.n_tokens, n_tokens);
  }
  for (const int32_t id : base.ids) {
    if (id >= 0 && id < n_vocab) continue;
    return make_error(ErrorCode::kUsage, "the base names token {}, but the vocabulary has {}", id,
                      n_vocab);
  }
  return {};
}

}  // namespace

ContextOptions perplexity_context(int64_t context_tokens) {
  ContextOptions options;
  options.context_tokens = context_tokens;
  options.logits_rows = kRowsAtOnce;
  return options;
}

ContextOptions judge_context(const TopPredictions& base) {
  ContextOptions options = perplexity_context(base.n_tokens);
  options.k_type = "f32";  // as `logits` records
  options.v_type = "f32";
  return options;
}

Result<Perplexity> perplexity(
    const Model& model, std::string_view text, int64_t context_tokens,
    const std::function<Result<void>(const Perplexity&, double)>& progress) {
  LLMRUN_ASSIGN(const Windows windows, cut_windows(model, text, context_tokens));
  LLMRUN_ASSIGN(Session session, model.new_session(perplexity_context(context_tokens)));
  Sample nll;
  const int64_t n_windows = windows.n_windows();
  for (int64_t w = 0; w < n_windows; ++w) {
    const std::vector<TokenId> window = windows.window(w);
    LLMRUN_TRY(session.logits(
        window, [&](int64_t position, int64_t n_rows, std::span<const float> rows) -> Result<void> {
          for (int64_t i = 0; i < n_rows; ++i) {
            const int64_t next = position + i + 1;
            if (!windows.scored(next)) continue;
            nll.add(negative_log_likelihood(row_of(rows, n_rows, i),
                                            window[static_cast<size_t>(next)]));
          }
          return {};
        }));
    if (progress) {
      LLMRUN_TRY(progress(perplexity_of(nll, w + 1),
                          static_cast<double>(w + 1) / static_cast<double>(n_windows)));
    }
  }
  return perplexity_of(nll, n_windows);
}

Result<TopPredictions> read_top_predictions(const std::string& path) {
  std::string stem = path;
  for (const std::string_view ending : {".npy", ".ids", ".logprobs"}) {
    if (stem.ends_with(ending)) stem.resize(stem.size() - ending.size());
  }
  LLMRUN_ASSIGN(const NpyArray ids, read_npy(stem + ".ids.npy"));
  LLMRUN_ASSIGN(const NpyArray values, read_npy(stem + ".logprobs.npy"));
  if (ids.type != NpyType::kInt32 || values.type != NpyType::kFloat32 || ids.shape.size() != 2 ||
      ids.shape != values.shape || ids.shape[0] == 0 || ids.shape[1] == 0) {
    return with_context({ErrorCode::kBadModel,
                         "the two arrays are not what 'llmrun logits --top K' writes: int32 and "
                         "float32 of the same shape [tokens, K]",
                         {}},
                        stem);
  }
  TopPredictions base;
  base.n_tokens = static_cast<int64_t>(ids.shape[0]);
  base.k = static_cast<int64_t>(ids.shape[1]);
  base.ids.assign(ids.as<int32_t>().begin(), ids.as<int32_t>().end());
  base.log_probabilities.assign(values.as<float>().begin(), values.as<float>().end());
  const auto checked = check_ids(base);
  if (!checked) return with_context(checked.error(), stem);
  return base;
}

Result<JudgedText> judge_against(
    const Model& model, std::string_view text, const TopPredictions& base,
    const std::function<Result<void>(const JudgedText&, double)>& progress) {
  LLMRUN_ASSIGN(const std::vector<TokenId> tokens, model.tokenize(text));
  LLMRUN_TRY(check_base(base, tokens.size(), model.info().vocabulary_size));
  LLMRUN_ASSIGN(Session session, model.new_session(judge_context(base)));
  Sample nll;
  AgreementSums agreement;
  const auto k = static_cast<size_t>(base.k);
  const std::span ids(base.ids);
  const std::span log_probabilities(base.log_probabilities);
  const auto result = [&] { return JudgedText{perplexity_of(nll, 1), agreement.result()}; };
  LLMRUN_TRY(session.logits(
      tokens, [&](int64_t first, int64_t n_rows, std::span<const float> rows) -> Result<void> {
        for (int64_t i = 0; i < n_rows; ++i) {
          const auto position = static_cast<size_t>(first + i);
          const auto row = row_of(rows, n_rows, i);
          const auto known = ids.subspan(position * k, k);
          agreement.add(kl_divergence(known, log_probabilities.subspan(position * k, k), row),
                        most_probable(row) == known[0]);
          if (position + 1 < tokens.size()) {
            nll.add(negative_log_likelihood(row, tokens[position + 1]));
          }
        }
        if (!progress) return {};
        return progress(result(),
                        static_cast<double>(first + n_rows) / static_cast<double>(base.n_tokens));
      }));
  return result();
}

}  // namespace llmrun
