// Dot products of bytes in the tile registers of AMX, for panels that many tokens pass by.
//
// A tile register holds up to 16 rows of 64 bytes. TDPBSUD adds to row t, column r of one the sum
// of signed bytes of row t of a second times unsigned bytes of column r of a third, where four rows
// of the second's bytes stand in one row of the third: just as panels and activations lie in memory
// here, so that no value is moved. (Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 1 chapter 18 and volume 2, TDPBSUD.)
#pragma once

#include <cstdint>

#include "kernels/cpu/simd/zmm.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

// The 64 bytes that LDTILECFG reads.
struct TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

enum : int { kSumsTile, kActivationsTile, kWeightsTile };

// With the instructions themselves, or what stands for them in tests.
template <typename Instructions>
class TilesOf {
 public:
  static constexpr bool kPresent = true;

  // Tile registers are ready for this thread while such an object lives.
  TilesOf() {
    TileConfig config;
    config.row_bytes[kSumsTile] = sizeof(Zmm::Words);
    config.rows[kSumsTile] = Zmm::kTileTokens;
    config.row_bytes[kActivationsTile] = 16;
    config.rows[kActivationsTile] = Zmm::kTileTokens;
    config.row_bytes[kWeightsTile] = sizeof(Zmm::Words);
    config.rows[kWeightsTile] = 4;
    Instructions::configure(config);
  }
  ~TilesOf() { Instructions::release(); }
  TilesOf(const TilesOf&) = delete;
  TilesOf& operator=(const TilesOf&) = delete;

  // sums[t] of kLanes rows: their 16 weights in 4 words at `panel` times the 16 activations of
  // token t at `tokens` + t * stride.
  static void dots(const uint8_t* panel, const uint8_t* tokens, int64_t stride, Zmm::Words* sums) {
    alignas(64) int32_t memory[Zmm::kTileTokens][Zmm::kLanes];
    Instructions::zero_sums();
    Instructions::load_activations(tokens, stride);
    Instructions::load_weights(panel, sizeof(Zmm::Words));
    Instructions::add_dots();
    Instructions::store_sums(memory, sizeof(Zmm::Words));
    for (int t = 0; t < Zmm::kTileTokens; ++t) sums[t] = Zmm::load(memory[t]);
  }
};

}  // namespace
}  // namespace llmrun::kernels::cpu
