// Sums are doubles; variances are computed by Welford's method, which does not cancel.
#include "api/score.h"

#include <algorithm>
#include <cmath>

#include "api/model_impl.h"
#include "base/error.h"

namespace llmrun {

void Sample::add(double value) {
  ++n_;
  const double before = value - mean_;
  mean_ += before / static_cast<double>(n_);
  squares_ += before * (value - mean_);
}

Mean Sample::result() const {
  if (n_ < 2) return {mean_, 0.0};
  const auto n = static_cast<double>(n_);
  return {mean_, std::sqrt(squares_ / (n - 1) / n)};
}

Mean Sample::exp_result() const {
  const Mean plain = result();
  return {std::exp(plain.value), std::exp(plain.value) * plain.standard_error};
}

Perplexity perplexity_of(const Sample& nll, int64_t n_windows) {
  Perplexity result;
  if (nll.n() == 0) return result;
  const Mean perplexity = nll.exp_result();
  result.perplexity = perplexity.value;
  result.standard_error = perplexity.standard_error;
  result.mean_nll = nll.mean();
  result.n_tokens = nll.n();
  result.n_windows = n_windows;
  return result;
}

double log_sum_exp(std::span<const float> row) {
  const double top = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float logit : row) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

TokenId most_probable(std::span<const float> row) {
  return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
}

double negative_log_likelihood(std::span<const float> row, TokenId token) {
  return log_sum_exp(row) - static_cast<double>(row[static_cast<size_t>(token)]);
}

double kl_divergence(std::span<const float> p, std::span<const float> q) {
  const double p_sum = log_sum_exp(p);
  const double q_sum = log_sum_exp(q);
  double divergence = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = static_cast<double>(p[i]) - p_sum;
    divergence += std::exp(log_p) * (log_p - (static_cast<double>(q[i]) - q_sum));
  }
  return std::max(divergence, 0.0);  // rounding may leave -1e-17 of equal rows
}

double kl_divergence(std::span<const int32_t> ids, std::span<const float> log_probabilities,
                     std::span<const float> q) {
  // Below this the rest is what rounding left of it, in the base's float32 numbers.
  constexpr double kLeastRest = 1e-6;
  const double q_sum = log_sum_exp(q);
  double divergence = 0;
  double p_rest = 1;
  double q_rest = 1;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto log_p = static_cast<double>(log_probabilities[i]);
    const double log_q = static_cast<double>(q[static_cast<size_t>(ids[i])]) - q_sum;
    divergence += std::exp(log_p) * (log_p - log_q);
    p_rest -= std::exp(log_p);
    q_rest -= std::exp(log_q);
  }
  if (ids.size() < q.size() && p_rest > kLeastRest) {
    divergence += p_rest * std::log(p_rest / std::max(q_rest, kLeastRest));
  }
  return std::max(divergence, 0.0);
}

void AgreementSums::add(double divergence, bool same_top) {
  divergence_.add(divergence);
  same_top_.add(same_top ? 1.0 : 0.0);
}

Agreement AgreementSums::result() const {
  return {divergence_.result(), same_top_.result(), divergence_.n()};
}

int64_t Windows::n_windows() const {
  const int64_t per_window = length - (bos ? 1 : 0);
  return static_cast<int64_t>(tokens.size()) / per_window;
}

std::vector<TokenId> Windows::window(int64_t index) const {
  const int64_t per_window = length - (bos ? 1 : 0);
  std::vector<TokenId> window;
  if (bos) window.push_back(*bos);
  const auto first = tokens.begin() + index * per_window;
  window.insert(window.end(), first, first + per_window);
  return window;
}

Result<Windows> cut_windows(const Model& model, std::string_view text, int64_t context_tokens) {
  Windows windows;
  LLMRUN_ASSIGN(windows.tokens, model.tokenize(text, {.add_special = false}));
  const tokenizer::Tokenizer& tokenizer = *Access::of(model).tokenizer;
  if (tokenizer.adds_bos()) windows.bos = tokenizer.special().bos;
  windows.length = context_tokens;
  const int64_t per_window = context_tokens - (windows.bos ? 1 : 0);
  if (per_window < 4) {
    return make_error(ErrorCode::kUsage,
                      "A context of {} tokens is too short to score anything; use 8 or more.",
                      context_tokens);
  }
  if (windows.n_windows() == 0) {
    return make_error(ErrorCode::kUsage,
                      "The text has {} tokens, fewer than one window of {}. Use a longer text or a "
                      "smaller context.",
                      windows.tokens.size(), per_window);
  }
  return windows;
}

}  // namespace llmrun
