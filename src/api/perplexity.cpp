// Perplexity of a text with its error bar.
#include <algorithm>
#include <cmath>

#include "api/model_impl.h"
#include "api/open_file.h"
#include "base/error.h"
#include "llmrun/tools.h"

namespace llmrun {
namespace {

// -ln p(token) under the softmax of the row.
double negative_log_likelihood(std::span<const float> row, TokenId token) {
  const double top = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float logit : row) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum) - static_cast<double>(row[static_cast<size_t>(token)]);
}

struct Sums {
  double nll = 0;
  double squares = 0;
  int64_t n = 0;

  void add(double value) {
    nll += value;
    squares += value * value;
    ++n;
  }
  [[nodiscard]] Perplexity result() const {
    Perplexity p;
    if (n == 0) return p;
    const auto count = static_cast<double>(n);
    p.n_tokens = n;
    p.mean_nll = nll / count;
    p.perplexity = std::exp(p.mean_nll);
    const double variance = n > 1 ? (squares - nll * nll / count) / (count - 1) : 0;
    // To first order the error of exp(x) is exp(x) times the error of x.
    p.standard_error = p.perplexity * std::sqrt(std::max(variance, 0.0) / count);
    return p;
  }
};

}  // namespace

Result<Perplexity> perplexity(const Model& model, std::string_view text, int64_t context_tokens,
                              const std::function<void(const Perplexity&, double)>& progress) {
  LLMRUN_ASSIGN(std::vector<TokenId> tokens, model.tokenize(text, {.add_special = false}));
  const tokenizer::Tokenizer& tokenizer = *Access::of(model).tokenizer;
  const bool with_bos = tokenizer.adds_bos() && tokenizer.special().bos.has_value();
  const int64_t per_window = context_tokens - (with_bos ? 1 : 0);
  if (per_window < 4) {
    return make_error(ErrorCode::kUsage,
                      "A context of {} tokens is too short to score anything; use 8 or more.",
                      context_tokens);
  }
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  if (n_tokens < per_window) {
    return make_error(ErrorCode::kUsage,
                      "The text has {} tokens, fewer than one window of {}. Use a longer text or a "
                      "smaller context.",
                      n_tokens, per_window);
  }
  ContextOptions options;
  options.context_tokens = context_tokens;
  options.logits_rows = 64;
  LLMRUN_ASSIGN(Session session, model.new_session(options));
  Sums sums;
  const int64_t n_windows = n_tokens / per_window;
  for (int64_t w = 0; w < n_windows; ++w) {
    std::vector<TokenId> window;
    if (with_bos) window.push_back(*tokenizer.special().bos);
    const auto first = tokens.begin() + w * per_window;
    window.insert(window.end(), first, first + per_window);
    const auto size = static_cast<int64_t>(window.size());
    LLMRUN_TRY(session.logits(
        window, [&](int64_t position, int64_t n_rows, std::span<const float> rows) -> Result<void> {
          const size_t n_vocab = rows.size() / static_cast<size_t>(n_rows);
          for (int64_t i = 0; i < n_rows; ++i) {
            const int64_t next = position + i + 1;
            if (next >= size || next < size / 2) continue;  // the first half is context only
            sums.add(
                negative_log_likelihood(rows.subspan(static_cast<size_t>(i) * n_vocab, n_vocab),
                                        window[static_cast<size_t>(next)]));
          }
          return {};
        }));
    if (progress) {
      progress(sums.result(), static_cast<double>(w + 1) / static_cast<double>(n_windows));
    }
  }
  return sums.result();
}

}  // namespace llmrun
