// XTC ("exclude top choices", p-e-w, 2024): with the given probability per token, removes every
// token at least as probable as the threshold except the least probable of them.
#include "sampling/generator.h"
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) {
  return options.xtc_probability > 0.0F && options.xtc_threshold <= 0.5F;
}

void apply(Step& step, Candidates& candidates) {
  const auto chance = static_cast<double>(step.options.xtc_probability);
  if (uniform(step.seed, step.number, Purpose::kXtc) >= chance) return;
  const auto probability = candidates.probabilities();
  const auto threshold = static_cast<double>(step.options.xtc_threshold);
  size_t n_top = 0;
  size_t least = 0;
  for (size_t i = 0; i < probability.size(); ++i) {
    if (probability[i] < threshold) continue;
    if (n_top++ == 0 || better(candidates.items()[least], candidates.items()[i])) least = i;
  }
  if (n_top < 2) return;
  candidates.keep_if([&](size_t i) { return i == least || probability[i] < threshold; });
}

}  // namespace

const Stage kStage_xtc = {"xtc", Phase::kTruncate, is_active, apply};

}  // namespace llmrun::sampling
