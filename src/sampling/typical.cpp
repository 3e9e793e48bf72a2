// Locally typical sampling (Meister et al., 2022): keeps the tokens whose surprise is closest to
// the entropy of the distribution, until they hold the probability p.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.typical_p < 1.0F; }

// The smallest distance from the entropy within which tokens hold the probability p, by bisection:
// no sort, and 50 halvings tell apart all distances that differ by more than 1e-15 of the largest.
double typical_limit(std::span<const double> distance, std::span<const double> probability,
                     double p) {
  double closest = std::numeric_limits<double>::infinity();
  double high = 0;
  for (size_t i = 0; i < distance.size(); ++i) {
    closest = std::min(closest, distance[i]);
    if (probability[i] > 0) high = std::max(high, distance[i]);
  }
  double low = 0;
  for (int i = 0; i < 50; ++i) {
    const double middle = low + (high - low) / 2;
    double mass = 0;
    for (size_t j = 0; j < distance.size(); ++j) {
      if (distance[j] <= middle) mass += probability[j];
    }
    (mass >= p ? high : low) = middle;
  }
  return std::max(high, closest);
}

void apply(Step& step, Candidates& candidates) {
  const auto probability = candidates.probabilities();
  double entropy = 0;
  for (const double q : probability) {
    if (q > 0) entropy -= q * std::log(q);
  }
  const auto distance = candidates.scratch();
  for (size_t i = 0; i < distance.size(); ++i) {
    distance[i] = probability[i] > 0 ? std::abs(-std::log(probability[i]) - entropy)
                                     : std::numeric_limits<double>::infinity();
  }
  const double limit =
      typical_limit(distance, probability, static_cast<double>(step.options.typical_p));
  candidates.keep_if([&](size_t i) { return distance[i] <= limit; });
}

}  // namespace

const Stage kStage_typical = {"typical", Phase::kTruncate, is_active, apply};

}  // namespace llmrun::sampling
