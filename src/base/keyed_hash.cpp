// SipHash as in the paper: 2 rounds for each word of 8 bytes, 4 at the end.
#include "base/keyed_hash.h"

#include <sys/random.h>

#include <bit>
#include <cstring>
#include <ctime>

namespace llmrun {
namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }

  void absorb(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

HashKey draw_key() {
  HashKey key;
  // Only a kernel without its random source fails here; then the clock is as good as it gets.
  if (::getrandom(&key, sizeof(key), GRND_NONBLOCK) == sizeof(key)) return key;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return {static_cast<uint64_t>(now.tv_nsec), static_cast<uint64_t>(now.tv_sec)};
}

}  // namespace

uint64_t siphash(std::string_view text, const HashKey& key) {
  State state{key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d,
              key.low ^ 0x6c7967656e657261, key.high ^ 0x7465646279746573};
  const size_t n_whole = text.size() / 8 * 8;
  for (size_t i = 0; i < n_whole; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + i, sizeof(word));
    state.absorb(word);
  }
  uint64_t last = static_cast<uint64_t>(text.size()) << 56;
  for (size_t i = n_whole; i < text.size(); ++i) {
    last |= uint64_t{static_cast<unsigned char>(text[i])} << (8 * (i - n_whole));
  }
  state.absorb(last);
  state.v2 ^= 0xFF;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

size_t KeyedHash::operator()(std::string_view text) const {
  static const HashKey kKey = draw_key();
  return siphash(text, kKey);
}

}  // namespace llmrun
