// Divides the logits by the temperature. With a dynamic range d the temperature lies in
// [t - d, t + d]: low where the model is sure, high where it is not, by the entropy of the
// candidates relative to the largest possible one.
#include <algorithm>
#include <cmath>

#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) {
  return options.temperature != 1.0F || options.dynamic_temperature > 0.0F;
}

double dynamic_temperature(const SamplingOptions& options, Candidates& candidates) {
  const auto middle = static_cast<double>(options.temperature);
  const auto range = static_cast<double>(options.dynamic_temperature);
  if (range <= 0.0 || candidates.size() < 2) return middle;
  double entropy = 0;
  for (const double p : candidates.probabilities()) {
    if (p > 0) entropy -= p * std::log(p);
  }
  const double share =
      std::clamp(entropy / std::log(static_cast<double>(candidates.size())), 0.0, 1.0);
  const double low = std::max(0.0, middle - range);
  const double high = middle + range;
  return low +
         (high - low) * std::pow(share, static_cast<double>(options.dynamic_temperature_exponent));
}

void apply(Step& step, Candidates& candidates) {
  const double temperature = dynamic_temperature(step.options, candidates);
  const double top = candidates.top().logit;
  // Relative to the best one, which stays at 0: no temperature however small makes an infinity.
  for (Candidate& c : candidates.items()) {
    const double difference = static_cast<double>(c.logit) - top;
    c.logit = difference == 0.0 ? 0.0F : static_cast<float>(difference / temperature);
  }
}

bool is_plain(const SamplingOptions& options) { return options.dynamic_temperature <= 0.0F; }

}  // namespace

const Stage kStage_temperature = {"temperature", Phase::kTemperature, is_active, apply, is_plain};

}  // namespace llmrun::sampling
