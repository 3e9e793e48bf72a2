// AVX-512 whose panels are multiplied in tile registers (AMX-INT8). The sums are whole numbers, so
// results have the bits of avx512.
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
};

struct Simd : Zmm {
  using Tiles = TilesOf<TileInstructions>;
};

}  // namespace
}  // namespace llmrun::kernels::cpu
