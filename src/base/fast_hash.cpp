// Four lanes of 128-bit products whose halves are folded (the step of wyhash, Wang Yi 2019); each
// lane takes 16 bytes at a time, so that the multiplications of a round overlap.
#include "base/fast_hash.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace llmrun {
namespace {

// The fractional parts of the square roots of 2, 3, 5 and 7.
constexpr uint64_t kRoot2 = 0x6A09E667F3BCC909;
constexpr uint64_t kRoot3 = 0xBB67AE8584CAA73B;
constexpr uint64_t kRoot5 = 0x3C6EF372FE94F82B;
constexpr uint64_t kRoot7 = 0xA54FF53A5F1D36F1;
constexpr std::array<uint64_t, 4> kKeys = {kRoot2, kRoot3, kRoot5, kRoot7};

uint64_t fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t word(const std::byte* at) {
  uint64_t value = 0;
  std::memcpy(&value, at, sizeof(value));  // all targets are little-endian
  return value;
}

}  // namespace

uint64_t fast_hash(std::span<const std::byte> bytes, uint64_t seed) {
  constexpr size_t kStep = 16;
  constexpr size_t kRound = kStep * kKeys.size();
  std::array<uint64_t, 4> lanes;
  for (size_t i = 0; i < lanes.size(); ++i) lanes[i] = seed ^ kKeys[i];
  size_t at = 0;
  for (; at + kRound <= bytes.size(); at += kRound) {
    for (size_t i = 0; i < lanes.size(); ++i) {
      const std::byte* const from = bytes.data() + at + i * kStep;
      lanes[i] = fold(word(from) ^ kKeys[i], word(from + 8) ^ lanes[i]);
    }
  }
  uint64_t hash = lanes[0] ^ (lanes[1] * kRoot3) ^ (lanes[2] * kRoot5) ^ (lanes[3] * kRoot7);
  for (; at < bytes.size(); at += kStep) {
    std::array<std::byte, kStep> rest{};
    std::memcpy(rest.data(), bytes.data() + at, std::min(kStep, bytes.size() - at));
    hash = fold(word(rest.data()) ^ kRoot2, word(rest.data() + 8) ^ hash);
  }
  return fold(hash ^ kRoot5, bytes.size() ^ kRoot3);
}

}  // namespace llmrun
