// AVX-512 whose panels are multiplied in tile registers (AMX-INT8), as are BF16 weights (AMX-BF16).
// Sums of bytes are whole numbers, so results of block types have the bits of avx512.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/simd/tiles.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct TileInstructions {
  static void configure(const TileConfig& config) { _tile_loadconfig(&config); }
  static void release() { _tile_release(); }
  // GCC makes register names of the digits, so no constants can stand here.
  static_assert(kSumsTile == 0 && kActivationsTile == 1 && kWeightsTile == 2);
  static void zero_sums() { _tile_zero(0); }
  static void load_activations(const void* from, int64_t stride) { _tile_loadd(1, from, stride); }
  static void load_weights(const void* from, int64_t stride) { _tile_loadd(2, from, stride); }
  static void add_dots() { _tile_dpbsud(0, 1, 2); }
  static void store_sums(void* to, int64_t stride) { _tile_stored(0, to, stride); }

#define LLMRUN_TILE(i)                                                                          \
  static void zero(Tile<i>) { _tile_zero(i); }                                                  \
  static void load(Tile<i>, const void* from, int64_t stride) { _tile_loadd(i, from, stride); } \
  static void store(Tile<i>, void* to, int64_t stride) { _tile_stored(i, to, stride); }
#define LLMRUN_ADD_HALVES(sum)                                              \
  static void add_halves(Tile<sum>, Tile<4>) { _tile_dpbf16ps(sum, 7, 4); } \
  static void add_halves(Tile<sum>, Tile<5>) { _tile_dpbf16ps(sum, 7, 5); } \
  static void add_halves(Tile<sum>, Tile<6>) { _tile_dpbf16ps(sum, 7, 6); }
  // clang-format off
  LLMRUN_TILE(0) LLMRUN_TILE(1) LLMRUN_TILE(2) LLMRUN_TILE(3)
  LLMRUN_TILE(4) LLMRUN_TILE(5) LLMRUN_TILE(6) LLMRUN_TILE(7)
  LLMRUN_ADD_HALVES(0) LLMRUN_ADD_HALVES(1) LLMRUN_ADD_HALVES(2) LLMRUN_ADD_HALVES(3)
  // clang-format on
#undef LLMRUN_ADD_HALVES
#undef LLMRUN_TILE
};

struct Simd : Zmm {
  using Tiles = TilesOf<TileInstructions>;
};

}  // namespace
}  // namespace llmrun::kernels::cpu
