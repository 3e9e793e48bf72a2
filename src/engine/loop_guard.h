// Sees when an answer goes round in an exact circle: the same tokens over and over.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "llmrun/message.h"

namespace llmrun::engine {

class LoopGuard {
 public:
  // Longer circles are not looked for.
  static constexpr size_t kMostPeriod = 256;
  // A circle must have come so often and be so long in all. Tables, lists of zeros and choruses
  // repeat, too, but end before that.
  static constexpr size_t kLeastTimes = 8;
  static constexpr size_t kLeastTokens = 256;

  // `answer` grew by one token. True: it now ends in a circle.
  bool push(std::span<const TokenId> answer);

 private:
  // For each period, how many of the last tokens equal the one that long before.
  std::array<uint32_t, kMostPeriod + 1> n_equal_{};
};

}  // namespace llmrun::engine
