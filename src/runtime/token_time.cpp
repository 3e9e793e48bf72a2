// Sums of bytes over bytes per second.
#include "runtime/token_time.h"

namespace llmrun::runtime {

std::optional<double> read_seconds(const TokenReads& reads, std::span<const double> card_speeds,
                                   double host_speed) {
  double seconds = 0.0;
  bool known = true;
  const auto add = [&](uint64_t bytes, double speed) {
    if (bytes == 0) return;
    if (speed > 0.0) {
      seconds += static_cast<double>(bytes) / speed;
    } else {
      known = false;
    }
  };
  for (size_t i = 0; i < reads.cards.size(); ++i) add(reads.cards[i], card_speeds[i]);
  add(reads.host, host_speed);
  return known ? std::optional(seconds) : std::nullopt;
}

double crossing_seconds(const TokenReads& reads) {
  return static_cast<double>(reads.n_crossings) * kCrossingSeconds;
}

double most_tokens_per_second(const TokenReads& reads, std::span<const double> card_speeds,
                              double host_speed) {
  const auto seconds = read_seconds(reads, card_speeds, host_speed);
  return seconds && *seconds > 0.0 ? 1.0 / (*seconds + crossing_seconds(reads)) : 0.0;
}

}  // namespace llmrun::runtime
