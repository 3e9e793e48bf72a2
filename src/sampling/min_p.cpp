// Keeps the tokens at least min_p times as probable as the best one (Nguyen et al., 2024).
#include <cmath>

#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.min_p > 0.0F; }

void apply(Step& step, Candidates& candidates) {
  if (candidates.size() == 0) return;
  // p >= min_p * p_best is the same as logit >= logit_best + log(min_p).
  const double top = candidates.top().logit;
  candidates.keep_at_least(
      static_cast<float>(top + std::log(static_cast<double>(step.options.min_p))));
}

}  // namespace

const Stage kStage_min_p = {"min_p", Phase::kTruncate, is_active, apply, is_plain_always};

}  // namespace llmrun::sampling
