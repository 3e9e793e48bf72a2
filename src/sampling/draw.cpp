// One draw from the softmax of what is left.
#include "sampling/generator.h"
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.mirostat == 0; }

void apply(Step& step, Candidates& candidates) {
  const size_t drawn =
      draw_index(candidates.probabilities(), uniform(step.seed, step.number, Purpose::kDraw));
  step.chosen = candidates.items()[drawn].id;
}

}  // namespace

size_t draw_index(std::span<const double> probability, double u) {
  double sum = 0;
  size_t last_possible = 0;
  for (size_t i = 0; i < probability.size(); ++i) {
    if (probability[i] <= 0) continue;
    last_possible = i;  // also the answer when rounding leaves the sum below u
    sum += probability[i];
    if (u < sum) break;
  }
  return last_possible;
}

const Stage kStage_draw = {"draw", Phase::kDraw, is_active, apply, is_plain_always};

}  // namespace llmrun::sampling
