// Keeps the tokens whose logit lies within n standard deviations of the best one
// (Tang et al., "Top-nsigma: not all logits are you need", 2024).
#include <cmath>

#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.top_n_sigma > 0.0F; }

void apply(Step& step, Candidates& candidates) {
  double sum = 0;
  size_t n = 0;
  for (const Candidate& c : candidates.items()) {
    if (std::isinf(c.logit)) continue;  // forbidden tokens are no part of the distribution
    sum += c.logit;
    ++n;
  }
  if (n == 0) return;
  const double mean = sum / static_cast<double>(n);
  double squares = 0;
  for (const Candidate& c : candidates.items()) {
    if (!std::isinf(c.logit)) squares += (c.logit - mean) * (c.logit - mean);
  }
  const double sigma = std::sqrt(squares / static_cast<double>(n));
  const double top = candidates.top().logit;
  candidates.keep_at_least(
      static_cast<float>(top - static_cast<double>(step.options.top_n_sigma) * sigma));
}

}  // namespace

const Stage kStage_top_n_sigma = {"top_n_sigma", Phase::kTruncate, is_active, apply};

}  // namespace llmrun::sampling
