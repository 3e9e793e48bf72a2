// What the IQ1, IQ2 and IQ3 types share: expanded codebooks, signs, and the search for the nearest
// entries. A super-block is d times small integer scales times codebook vectors of 8 (IQ3: 4).
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/iq_grids.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

// A codebook: value i of entry e is levels[bits i * kBits and up of codes[e]]. `values` has them
// expanded, for decoding.
template <int kDim, int kBits, int kEntries, int kLevels>
struct Grid {
  int8_t values[kEntries][kDim];
  const uint16_t* codes;  // [kEntries]
  const int8_t* levels;   // [kLevels]
};

template <int kDim, int kBits, int kEntries, int kLevels>
constexpr Grid<kDim, kBits, kEntries, kLevels> expand_grid(const uint16_t (&codes)[kEntries],
                                                           const int8_t (&levels)[kLevels]) {
  Grid<kDim, kBits, kEntries, kLevels> grid{};
  grid.codes = codes;
  grid.levels = levels;
  for (int e = 0; e < kEntries; ++e) {
    for (int i = 0; i < kDim; ++i) {
      grid.values[e][i] = levels[(codes[e] >> (kBits * i)) & ((1 << kBits) - 1)];
    }
  }
  return grid;
}

constexpr int8_t kIq1Levels[3] = {-1, 0, 1};
constexpr int8_t kIq2Levels[3] = {8, 25, 43};
constexpr int8_t kIq3XxsLevels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr int8_t kIq3SLevels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

// Seven stored sign bits stand for eight: the last one makes the number of set bits even.
constexpr uint8_t signs_from_7_bits(uint32_t bits) {
  const uint32_t parity = static_cast<uint32_t>(__builtin_popcount(bits & 127U)) & 1U;
  return static_cast<uint8_t>((bits & 127U) | (parity << 7));
}

// q[i] = magnitudes[i], negative where bit first_bit + i of signs is set.
inline void apply_signs(const int8_t* magnitudes, int n, uint32_t signs, int8_t* q) {
  for (int i = 0; i < n; ++i) {
    q[i] = static_cast<int8_t>(((signs >> i) & 1U) != 0 ? -magnitudes[i] : magnitudes[i]);
  }
}

// The entry nearest to target[kDim] in squared distance. The distances of all possible halves of
// an entry are tabulated first; an entry's distance is then the sum of two of them.
template <int kDim, int kBits, int kEntries, int kLevels>
inline int nearest_entry(const Grid<kDim, kBits, kEntries, kLevels>& grid, const float* target) {
  constexpr int kHalfBits = kBits * kDim / 2;
  float distances[2][1 << kHalfBits];
  for (int half = 0; half < 2; ++half) {
    float* table = distances[half];
    table[0] = 0.0F;
    for (int i = 0, filled = 1; i < kDim / 2; ++i, filled <<= kBits) {
      for (int code = (1 << kBits) - 1; code >= 0;
           --code) {  // code 0 last: it overwrites its source
        const int level = grid.levels[code < kLevels ? code : kLevels - 1];
        const float difference = target[half * kDim / 2 + i] - static_cast<float>(level);
        for (int k = 0; k < filled; ++k)
          table[code * filled + k] = table[k] + difference * difference;
      }
    }
  }
  int best = 0;
  float best_distance = 3.4e38F;
  for (int e = 0; e < kEntries; ++e) {
    const int code = grid.codes[e];
    const float distance =
        distances[0][code & ((1 << kHalfBits) - 1)] + distances[1][code >> kHalfBits];
    if (distance < best_distance) {
      best_distance = distance;
      best = e;
    }
  }
  return best;
}

// Eight values as 8 / kDim codebook entries and eight sign bits.
struct EncodedVector {
  uint16_t entries[2];
  uint8_t signs;
};

// Encodes x * inv. With even_signs the number of minus signs must be even: where it is not, the
// smallest value gets the wrong sign.
template <int kDim, int kBits, int kEntries, int kLevels>
inline EncodedVector encode_vector(const Grid<kDim, kBits, kEntries, kLevels>& grid, const float* x,
                                   float inv, bool even_signs, int8_t* q) {
  EncodedVector result{};
  float magnitudes[8];
  int smallest = 0;
  for (int i = 0; i < 8; ++i) {
    if (x[i] < 0.0F) result.signs |= static_cast<uint8_t>(1U << i);
    magnitudes[i] = ::fabsf(x[i]) * inv;
    if (magnitudes[i] < magnitudes[smallest]) smallest = i;
  }
  if (even_signs && (__builtin_popcount(result.signs) & 1) != 0) {
    result.signs ^= static_cast<uint8_t>(1U << smallest);
    magnitudes[smallest] = -magnitudes[smallest];
  }
  for (int part = 0; part < 8 / kDim; ++part) {
    const int entry = nearest_entry(grid, magnitudes + part * kDim);
    result.entries[part] = static_cast<uint16_t>(entry);
    apply_signs(grid.values[entry], kDim, static_cast<uint32_t>(result.signs) >> (part * kDim),
                q + part * kDim);
  }
  return result;
}

// The quantiser of all grid types: w = d * kScaleUnit * (2 s + 1) * q, s in [0, kScaleMax] per
// group. `Coder` provides kGroup (values per scale), kScaleUnit, kScaleMax, kLargest (the largest
// |q|), and
//   encode(x, inv, q)          q: what the codes nearest to x[kGroup] * inv stand for
//   store(block, g, s, x, inv) writes those codes and s into group g
//   store_d(block, d)          writes d; returns it as it will be decoded
// First every group gets its best real scale; then d and the integer scales; then d once more.
template <typename Coder, typename Block>
inline void quantize_grid(const float* in, Block& block) {
  constexpr int kGroup = Coder::kGroup;
  constexpr int kGroups = kSuperBlock / kGroup;
  float fits[kGroups];
  float largest = 0.0F;
  int8_t q[kSuperBlock];
  for (int g = 0; g < kGroups; ++g) {
    const float* x = in + g * kGroup;
    const float magnitude = largest_magnitude(x, kGroup);
    double best_gain = 0.0;
    fits[g] = 0.0F;
    for (int step = 0; step < 8; ++step) {  // the largest value falls 0.7 to 1.4 of the range
      const float range = (0.7F + 0.1F * static_cast<float>(step)) * Coder::kLargest;
      Coder::encode(x, range * inverse(magnitude), q);
      ScaleFit fit;
      for (int i = 0; i < kGroup; ++i) fit.add(x[i], q[i]);
      if (fit.gain() > best_gain) {
        best_gain = fit.gain();
        fits[g] = fit.scale();
      }
    }
    if (fits[g] > largest) largest = fits[g];
  }

  block = Block{};
  const float unit =
      Coder::kScaleUnit *
      Coder::store_d(block, largest / (Coder::kScaleUnit * (2.0F * Coder::kScaleMax + 1.0F)));
  ScaleFit whole;
  for (int g = 0; g < kGroups; ++g) {
    const float* x = in + g * kGroup;
    int8_t* group = q + g * kGroup;
    const int middle = round_clamped((fits[g] * inverse(unit) - 1.0F) * 0.5F, 0, Coder::kScaleMax);
    int best = middle;
    double best_error = -1.0;
    for (int s = middle - 1; s <= middle + 1; ++s) {
      if (s < 0 || s > Coder::kScaleMax) continue;
      const float scale = unit * static_cast<float>(2 * s + 1);
      Coder::encode(x, inverse(scale), group);
      const double error = squared_error(x, group, kGroup, scale);
      if (best_error < 0.0 || error < best_error) {
        best_error = error;
        best = s;
      }
    }
    const float inv = inverse(unit * static_cast<float>(2 * best + 1));
    Coder::encode(x, inv, group);
    Coder::store(block, g, best, x, inv);
    for (int i = 0; i < kGroup; ++i) {
      whole.add(x[i], static_cast<double>(Coder::kScaleUnit) * (2 * best + 1) * group[i]);
    }
  }
  Coder::store_d(block, whole.scale());
}

}  // namespace
}  // namespace llmrun::quant
