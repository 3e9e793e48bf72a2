// AVX-512 with the tile registers of AMX in software: the products of simd/amx.h on a CPU that has
// no tiles. Refuses what a CPU would refuse.
#pragma once

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

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
  // Of bfloat16, by the tile's number.
  template <int kIndex>
  static void zero(Tile<kIndex>) {
    zero(kIndex);
  }
  template <int kIndex>
  static void load(Tile<kIndex>, const void* from, int64_t stride) {
    load(kIndex, from, stride);
  }
  template <int kIndex>
  static void store(Tile<kIndex>, void* to, int64_t stride) {
    store(kIndex, to, stride);
  }
  template <int kSum, int kPart>
  static void add_halves(Tile<kSum>, Tile<kPart>) {
    constexpr int kWeights = HalfTilesOf<EmulatedTiles>::Weights::kNumber;
    const int n_pairs = config.row_bytes[kWeights] / 4;
    require(configured && config.rows[kSum] == config.rows[kWeights] &&
            config.row_bytes[kSum] == config.row_bytes[kPart] && n_pairs == config.rows[kPart]);
    for (int row = 0; row < config.rows[kSum]; ++row) {
      for (int column = 0; column < config.row_bytes[kSum] / 4; ++column) {
        float pair[2] = {};
        for (int k = 0; k < n_pairs; ++k) {
          for (int i = 0; i < 2; ++i) {
            pair[i] = flushed(std::fma(half_at(kWeights, row, 2 * k + i),
                                       half_at(kPart, k, 2 * column + i), pair[i]));
          }
        }
        float sum;
        std::memcpy(&sum, &tiles[kSum][row][4 * column], sizeof(sum));
        sum = flushed(flushed(sum) + flushed(pair[0] + pair[1]));
        std::memcpy(&tiles[kSum][row][4 * column], &sum, sizeof(sum));
      }
    }
  }

  static void zero_sums() { zero(kSumsTile); }
  static void load_activations(const void* from, int64_t stride) {
    load(kActivationsTile, from, stride);
  }
  static void load_weights(const void* from, int64_t stride) { load(kWeightsTile, from, stride); }
  static void store_sums(void* to, int64_t stride) { store(kSumsTile, to, stride); }
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
  // Subnormal numbers are zeros to the instruction.
  static float flushed(float value) {
    return std::fabs(value) < std::numeric_limits<float>::min() ? 0.0F : value;
  }
  static float half_at(int tile, int row, int index) {
    uint16_t half;
    std::memcpy(&half, &tiles[tile][row][2 * index], sizeof(half));
    const uint32_t bits = uint32_t{half} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return flushed(value);
  }
  static void store(int tile, void* to, int64_t stride) {
    require(configured && config.rows[tile] != 0);
    for (int row = 0; row < config.rows[tile]; ++row) {
      std::memcpy(static_cast<uint8_t*>(to) + row * stride, tiles[tile][row],
                  config.row_bytes[tile]);
    }
  }
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
