// Frequencies of rotary embeddings and slopes of linear biases.
#include "runtime/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmrun::runtime {
namespace {

// How much of pair i's angle stays as it was: 1 for fast pairs, 0 for slow ones.
class YarnRamp {
 public:
  explicit YarnRamp(const Rope& rope)
      : low_(std::max(0.0, std::floor(border(rope, rope.beta_fast)))),
        high_(std::min(static_cast<double>(rope.n_dims - 1),
                       std::ceil(border(rope, rope.beta_slow)))) {}

  [[nodiscard]] double unscaled_share(int64_t pair) const {
    const double at = (static_cast<double>(pair) - low_) / std::max(0.001, high_ - low_);
    return 1.0 - std::clamp(at, 0.0, 1.0);
  }

 private:
  // The pair that turns `rotations` times within the original context.
  static double border(const Rope& rope, double rotations) {
    const double period = static_cast<double>(rope.original_context) / rotations;
    return static_cast<double>(rope.n_dims) * std::log(period / (2.0 * std::numbers::pi)) /
           (2.0 * std::log(rope.base));
  }
  double low_, high_;
};

// True when the text position drives pair i.
bool rotates_in_text(const Rope& rope, int64_t pair) {
  const auto& s = rope.sections;
  const int64_t total = s[0] + s[1] + s[2] + s[3];
  if (rope.section_kind == RopeSections::kNone || total <= 0) return true;
  const int64_t at = pair % total;
  if (rope.section_kind == RopeSections::kCyclic) return at < s[0] + s[1] + s[2];
  return at < 3 * s[static_cast<size_t>(at % 3)];
}

}  // namespace

std::vector<float> rope_frequencies(const Rope& rope, std::span<const float> factors) {
  const int64_t n_pairs = rope.n_dims / 2;
  std::vector<float> frequencies(static_cast<size_t>(n_pairs), 0.0F);
  const YarnRamp ramp(rope);
  for (int64_t i = 0; i < n_pairs; ++i) {
    if (!rotates_in_text(rope, i)) continue;
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rope.n_dims);
    double angle = std::pow(rope.base, exponent);
    if (!factors.empty()) angle /= static_cast<double>(factors[static_cast<size_t>(i)]);
    const double stays = rope.scaling == RopeScaling::kYarn ? ramp.unscaled_share(i) : 0.0;
    if (rope.scaling != RopeScaling::kNone) {
      angle = angle / rope.factor * (1.0 - stays) + angle * stays;
    }
    frequencies[static_cast<size_t>(i)] = static_cast<float>(angle);
  }
  return frequencies;
}

std::vector<float> alibi_slopes(int64_t n_heads, float max_bias) {
  int64_t n2 = 1;  // largest power of two that is not above n_heads
  while (n2 * 2 <= n_heads) n2 *= 2;
  std::vector<float> slopes;
  slopes.reserve(static_cast<size_t>(n_heads));
  const double bias = static_cast<double>(max_bias);
  for (int64_t h = 0; h < n_heads; ++h) {
    const double exponent =
        h < n2 ? bias * static_cast<double>(h + 1) / static_cast<double>(n2)
               : bias / 2.0 * static_cast<double>(2 * (h - n2) + 1) / static_cast<double>(n2);
    slopes.push_back(static_cast<float>(std::exp2(-exponent)));
  }
  return slopes;
}

std::vector<float> lightning_slopes(int64_t n_heads, float scale) {
  const double first = std::exp2(-std::exp2(-(std::log2(static_cast<double>(n_heads)) - 3.0)));
  std::vector<float> slopes;
  for (int64_t h = 0; h < n_heads; ++h) {
    const double slope = std::pow(first, static_cast<double>(h + 1));
    slopes.push_back(static_cast<float>(-slope * static_cast<double>(scale)));
  }
  return slopes;
}

}  // namespace llmrun::runtime
