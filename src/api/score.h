// Scoring rows of logits: likelihoods, divergences, and means with their errors.
#pragma once

#include <cstdint>
#include <span>

#include "llmrun/judge.h"

namespace llmrun {

// Mean and standard error of what was added.
class Sample {
 public:
  void add(double value);
  [[nodiscard]] int64_t n() const { return n_; }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] Mean result() const;
  // Of exp(mean), to first order.
  [[nodiscard]] Mean exp_result() const;

 private:
  int64_t n_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // sum of squared distances from the mean
};
Perplexity perplexity_of(const Sample& nll, int64_t n_windows);

// ln sum exp(row).
double log_sum_exp(std::span<const float> row);
TokenId most_probable(std::span<const float> row);  // the lowest id on a tie
double negative_log_likelihood(std::span<const float> row, TokenId token);
// sum p ln(p / q) for p and q the softmax of these rows.
double kl_divergence(std::span<const float> p, std::span<const float> q);
// The same where of p only some ids are known: over these and "any other".
double kl_divergence(std::span<const int32_t> ids, std::span<const float> log_probabilities,
                     std::span<const float> q);

// Both at once, position by position.
class AgreementSums {
 public:
  void add(double divergence, bool same_top);
  [[nodiscard]] Agreement result() const;

 private:
  Sample divergence_;
  Sample same_top_;
};

// The windows that perplexities are taken over, none of which overlap.
struct Windows {
  std::vector<TokenId> tokens;  // of the text, without BOS
  std::optional<TokenId> bos;   // put before each window
  int64_t length = 0;           // of a window, with its BOS

  [[nodiscard]] int64_t n_windows() const;
  [[nodiscard]] std::vector<TokenId> window(int64_t index) const;
  // The token at this place of a window is scored: it has half a window before it.
  [[nodiscard]] bool scored(int64_t place) const { return place >= length / 2 && place < length; }
};
// kUsage when the text has fewer tokens than a window, or windows are too short.
Result<Windows> cut_windows(const Model& model, std::string_view text, int64_t context_tokens);

}  // namespace llmrun
