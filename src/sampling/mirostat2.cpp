// Mirostat version 2 (Basu et al., 2021): keeps the tokens whose surprise is at most mu bits, draws
// one, and moves mu so that the observed surprise approaches tau.
#include <cmath>

#include "sampling/generator.h"
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.mirostat == 2; }

void apply(Step& step, Candidates& candidates) {
  const auto probability = candidates.probabilities();
  const auto mu = static_cast<double>(step.mirostat_mu);
  const size_t best = candidates.best();
  candidates.keep_if([&](size_t i) { return i == best || -std::log2(probability[i]) <= mu; });
  const auto kept = candidates.probabilities();
  const size_t drawn = draw_index(kept, uniform(step.seed, step.number, Purpose::kDraw));
  step.chosen = candidates.items()[drawn].id;
  const double surprise = -std::log2(kept[drawn]);
  step.mirostat_mu -=
      step.options.mirostat_eta * (static_cast<float>(surprise) - step.options.mirostat_tau);
}

}  // namespace

const Stage kStage_mirostat2 = {"mirostat2", Phase::kDraw, is_active, apply};

}  // namespace llmrun::sampling
