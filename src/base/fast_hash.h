// A 64-bit hash of bytes at the speed of memory, to see damage and differences. No protection
// against an adversary: for that there is SHA-256, or siphash for tables. The same bytes and seed
// give the same hash in every build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace llmrun {

uint64_t fast_hash(std::span<const std::byte> bytes, uint64_t seed = 0);

}  // namespace llmrun
