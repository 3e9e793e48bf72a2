// Random numbers of the sampler: counter-based, so that a draw depends on the seed, the number of
// the token and the purpose alone, and a seed gives the same numbers on every machine.
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011.
#pragma once

#include <array>
#include <cstdint>

namespace llmrun::sampling {

// Ten rounds of Philox over a 128-bit counter with a 64-bit key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// What a number is for: stages do not shift each other's numbers.
enum class Purpose : uint32_t { kDraw = 0, kXtc = 1 };

// Uniform in [0, 1) with 53 bits, for the step-th token of a request with this seed.
double uniform(uint64_t seed, uint64_t step, Purpose purpose);

// A seed from the operating system, below 2^53 so that JSON can carry it.
uint64_t random_seed();

}  // namespace llmrun::sampling
