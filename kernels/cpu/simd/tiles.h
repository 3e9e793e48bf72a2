// Dot products in the tile registers of AMX: of bytes, for panels that many tokens pass by, and of
// bfloat16.
//
// A tile register holds up to 16 rows of 64 bytes. TDPBSUD adds to row t, column r of one the sum
// of signed bytes of row t of a second times unsigned bytes of column r of a third, where four rows
// of the second's bytes stand in one row of the third: just as panels and activations lie in memory
// here, so that no value is moved. (Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 1 chapter 18 and volume 2, TDPBSUD and TDPBF16PS.)
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

template <typename Instructions>
class HalfTilesOf;

// With the instructions themselves, or what stands for them in tests.
template <typename Instructions>
class TilesOf {
 public:
  static constexpr bool kPresent = true;
  using Halves = HalfTilesOf<Instructions>;

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

// The number of a tile register as a type, because instructions have it in their code.
template <int kIndex>
struct Tile {
  static constexpr int kNumber = kIndex;
};

// Sums of 16 rows of weights times 16 tokens, or 1, in bfloat16: TDPBF16PS adds row by row, and of
// each row first the products of even values, then of odd ones, all in float32.
template <typename Instructions>
class HalfTilesOf {
 public:
  static constexpr int kRows = 16;    // of weights in a group
  static constexpr int kGroups = 4;   // that are summed at the same time, at most
  static constexpr int kParts = 3;    // of an activation
  static constexpr int kValues = 32;  // of a row in a tile
  static constexpr int kMaxTokens = 16;
  // Tiles of sums come first.
  using FirstPart = Tile<kGroups>;
  using SecondPart = Tile<kGroups + 1>;
  using ThirdPart = Tile<kGroups + 2>;
  using Weights = Tile<kGroups + kParts>;

  // The registers are ready for this thread between the two: for 1 token or kMaxTokens. (A
  // destructor would have exceptions in mind, whose tables are shared with code for other CPUs.)
  static void begin(int n_tokens) {
    TileConfig config;
    for (int i = 0; i <= Weights::kNumber; ++i) {
      config.row_bytes[i] = static_cast<uint16_t>(4 * n_tokens);
      config.rows[i] = 16;
    }
    config.row_bytes[Weights::kNumber] = 2 * kValues;
    Instructions::configure(config);
  }
  static void end() { Instructions::release(); }

  // The upper halves of words, which are bfloat16.
  static void store_upper(uint16_t* p, Zmm::Words words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(Zmm::right_words<16>(words)));
  }

  // sums[g][row][token] += the rows of group g times the parts of activations.
  struct Sums {
    const uint8_t* weights;  // of the first row
    int64_t row_bytes;
    const uint8_t* parts;  // tiles of part_bytes, one after the other
    int64_t part_bytes;
    int64_t n_steps;  // of kValues
    bool is_first;    // the sums begin as zeros
    int64_t ahead;    // what lies so far behind the weights is fetched meanwhile; 0: nothing
    float* sums;
  };
  template <int kCount>
  static void add(const Sums& s) {
    const int64_t stride = s.part_bytes / 16;
    const int64_t group_floats = s.part_bytes / 4;
    const uint8_t* weights = s.weights;
    const uint8_t* parts = s.parts;
    each<kCount>([&](auto sum, int g) {
      if (s.is_first) {
        Instructions::zero(sum);
      } else {
        Instructions::load(sum, s.sums + g * group_floats, stride);
      }
    });
    for (int64_t step = 0; step < s.n_steps; ++step) {
      Instructions::load(FirstPart(), parts, stride);
      Instructions::load(SecondPart(), parts + s.part_bytes, stride);
      Instructions::load(ThirdPart(), parts + 2 * s.part_bytes, stride);
      parts += kParts * s.part_bytes;
      each<kCount>([&](auto sum, int g) {
        const uint8_t* const rows = weights + g * kRows * s.row_bytes;
        for (int r = 0; s.ahead != 0 && r < kRows; ++r) {
          Zmm::fetch(rows + r * s.row_bytes + s.ahead);
        }
        Instructions::load(Weights(), rows, s.row_bytes);
        Instructions::add_halves(sum, FirstPart());
        Instructions::add_halves(sum, SecondPart());
        Instructions::add_halves(sum, ThirdPart());
      });
      weights += 2 * kValues;
    }
    each<kCount>(
        [&](auto sum, int g) { Instructions::store(sum, s.sums + g * group_floats, stride); });
  }

 private:
  // function(Tile<i>(), i) for i < kCount.
  template <int kCount, int kFirst = 0, typename Function>
  static void each(const Function& function) {
    if constexpr (kFirst < kCount) {
      function(Tile<kFirst>(), kFirst);
      each<kCount, kFirst + 1>(function);
    }
  }
};

}  // namespace
}  // namespace llmrun::kernels::cpu
