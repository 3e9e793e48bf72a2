// Nucleus sampling (Holtzman et al., 2019): keeps the fewest best tokens that hold the
// probability p.
#include "base/exp.h"
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.top_p < 1.0F; }

void apply(Step& step, Candidates& candidates) {
  const size_t n = candidates.size();
  if (n == 0) return;
  const double top = candidates.top().logit;
  double sum = 0;
  for (const Candidate& c : candidates.items()) sum += exp_negative(c.logit - top);
  const double wanted = sum * static_cast<double>(step.options.top_p);
  // Sort only as far as the nucleus reaches: 64 tokens, then four times as many.
  double mass = 0;
  size_t kept = 0;
  for (size_t sorted = 64;; sorted *= 4) {
    candidates.sort_first(sorted);
    const size_t end = sorted < n ? sorted : n;
    while (kept < end) {
      mass += exp_negative(candidates.items()[kept++].logit - top);
      if (mass >= wanted) {
        candidates.resize(kept);
        return;
      }
    }
    if (end == n) return;
  }
}

}  // namespace

const Stage kStage_top_p = {"top_p", Phase::kTruncate, is_active, apply, is_plain_always};

}  // namespace llmrun::sampling
