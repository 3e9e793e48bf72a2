// How long one token takes, by bandwidth arithmetic: what it reads of each memory, divided by the
// speed of that, and how often it goes from one device to another on its way. Devices that have
// layers work one after the other, so their times add up.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace llmrun::runtime {

// What one token reads where. Of experts only those that it uses.
struct TokenReads {
  std::vector<uint64_t> cards;
  uint64_t host = 0;
  int64_t n_crossings = 0;  // of its row, between two devices
};

// Of one crossing: the device that had the turn is waited for, a row is copied, and the next one
// begins. An assumption, which cards have yet to confirm. How long the row is does not matter: of
// 16,384 values it is on the bus for some 3 us.
inline constexpr double kCrossingSeconds = 20e-6;

// Of the reads alone; nullopt: the speed of something that is read is not known (0).
std::optional<double> read_seconds(const TokenReads& reads, std::span<const double> card_speeds,
                                   double host_speed);
double crossing_seconds(const TokenReads& reads);

// By both; 0: not known.
double most_tokens_per_second(const TokenReads& reads, std::span<const double> card_speeds,
                              double host_speed);

}  // namespace llmrun::runtime
