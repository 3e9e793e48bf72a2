// AVX-512 with the tile registers of AMX in software: the products of simd/amx.h on a CPU that has
// no tiles. Refuses what a CPU would refuse.
#pragma once

#include <cstdlib>
#include <cstring>

#include "kernels/cpu/simd/tiles.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see simd/ymm.h

struct EmulatedTiles {
  static inline thread_local TileConfig config;
  static inline thread_local uint8_t tiles[8][16][64];
  static inline thread_local bool configured = false;

  static void require(bool condition) {
    if (!condition) std::abort();  // a CPU would raise an exception
  }
  static void configure(const TileConfig& wanted) {
    require(wanted.palette == 1 && wanted.start_row == 0);
    for (int i = 0; i < 16; ++i) {
      require(wanted.row_bytes[i] <= (i < 8 ? 64 : 0) && wanted.rows[i] <= (i < 8 ? 16 : 0));
    }
    config = wanted;
    configured = true;
    std::memset(tiles, 0, sizeof(tiles));
  }
  static void release() {
    require(configured);
    configured = false;
  }
  static void zero_sums() { zero(kSumsTile); }
  static void load_activations(const void* from, int64_t stride) {
    load(kActivationsTile, from, stride);
  }
  static void load_weights(const void* from, int64_t stride) { load(kWeightsTile, from, stride); }
  static void store_sums(void* to, int64_t stride) {
    require(configured && config.rows[kSumsTile] != 0);
    for (int row = 0; row < config.rows[kSumsTile]; ++row) {
      std::memcpy(static_cast<uint8_t*>(to) + row * stride, tiles[kSumsTile][row],
                  config.row_bytes[kSumsTile]);
    }
  }
  static void add_dots() {
    const int row_bytes = config.row_bytes[kActivationsTile];
    require(configured && config.rows[kSumsTile] == config.rows[kActivationsTile] &&
            config.row_bytes[kSumsTile] == config.row_bytes[kWeightsTile] &&
            row_bytes == 4 * config.rows[kWeightsTile]);
    for (int row = 0; row < config.rows[kSumsTile]; ++row) {
      for (int column = 0; column < config.row_bytes[kSumsTile] / 4; ++column) {
        uint8_t* const at = &tiles[kSumsTile][row][4 * column];
        int32_t sum;
        std::memcpy(&sum, at, sizeof(sum));
        for (int i = 0; i < row_bytes; ++i) {
          sum += static_cast<int8_t>(tiles[kActivationsTile][row][i]) *
                 tiles[kWeightsTile][i / 4][4 * column + i % 4];
        }
        std::memcpy(at, &sum, sizeof(sum));
      }
    }
  }

 private:
  static void zero(int tile) {
    require(configured && config.rows[tile] != 0);
    std::memset(tiles[tile], 0, sizeof(tiles[tile]));
  }
  static void load(int tile, const void* from, int64_t stride) {
    zero(tile);
    for (int row = 0; row < config.rows[tile]; ++row) {
      std::memcpy(tiles[tile][row], static_cast<const uint8_t*>(from) + row * stride,
                  config.row_bytes[tile]);
    }
  }
};

struct Simd : Zmm {
  using Tiles = TilesOf<EmulatedTiles>;
};

}  // namespace
}  // namespace llmrun::kernels::cpu
