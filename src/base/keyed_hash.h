// A hash of text whose outcome nobody can foresee: SipHash-2-4 (Aumasson and Bernstein, 2012) under
// a key drawn when the program starts. For tables whose keys come from outside: a file made of
// colliding names cannot make them slow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace llmrun {

struct HashKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

uint64_t siphash(std::string_view text, const HashKey& key);

// For std::unordered_map<std::string_view, T, KeyedHash>.
struct KeyedHash {
  size_t operator()(std::string_view text) const;
};

}  // namespace llmrun
