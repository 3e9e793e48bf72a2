// What the IQ1, IQ2 and IQ3 types share: expanded codebooks, signs, and the search for the nearest
// entries. A super-block is d times small integer scales times codebook vectors of 8 (IQ3: 4).
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/iq_grids.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

// A codebook: value i of entry e is levels[bits i * kBits and up of codes[e]]. `values` has them
// expanded, for decoding. For encoding each half of an entry has a number, its levels being the
// digits. The codes ascend, so the entries with the same upper half lie side by side: from
// first_of[half] up to first_of[half + 1].
template <int kDim, int kBits, int kEntries, int kLevels>
struct Grid {
  static constexpr int kHalf = kDim / 2;
  static constexpr int kHalves =
      kHalf == 2 ? kLevels * kLevels : kLevels * kLevels * kLevels * kLevels;
  static_assert(kHalf == 2 || kHalf == 4);
  int8_t values[kEntries][kDim];
  uint8_t lower_half[kEntries];
  uint16_t first_of[kHalves + 1];
  const int8_t* levels;  // [kLevels]
};

template <int kHalf, int kBits, int kLevels>
constexpr int half_number(int code) {
  int number = 0;
  for (int i = kHalf - 1; i >= 0; --i) {
    number = number * kLevels + ((code >> (kBits * i)) & ((1 << kBits) - 1));
  }
  return number;
}

template <int kDim, int kBits, int kEntries, int kLevels>
constexpr Grid<kDim, kBits, kEntries, kLevels> expand_grid(const uint16_t (&codes)[kEntries],
                                                           const int8_t (&levels)[kLevels]) {
  using Result = Grid<kDim, kBits, kEntries, kLevels>;
  Result grid{};
  grid.levels = levels;
  for (int e = 0; e < kEntries; ++e) {
    for (int i = 0; i < kDim; ++i) {
      grid.values[e][i] = levels[(codes[e] >> (kBits * i)) & ((1 << kBits) - 1)];
    }
    grid.lower_half[e] = static_cast<uint8_t>(half_number<kDim / 2, kBits, kLevels>(codes[e]));
    const int upper = half_number<kDim / 2, kBits, kLevels>(codes[e] >> (kBits * kDim / 2));
    for (int half = upper + 1; half <= Result::kHalves; ++half) {
      grid.first_of[half] = static_cast<uint16_t>(e + 1);
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

// distances[half] = weighted squared distance of target[kHalf] from what the half stands for;
// returns the smallest.
template <int kHalf, int kLevels>
inline float half_distances(const int8_t* levels, const float* target, const float* w,
                            float* distances) {
  distances[0] = 0.0F;
  float sum_of_smallest = 0.0F;
  for (int i = 0, filled = 1; i < kHalf; ++i, filled *= kLevels) {
    float smallest = 3.4e38F;
    for (int digit = kLevels - 1; digit >= 0; --digit) {  // 0 last: it overwrites its source
      const float difference = target[i] - static_cast<float>(levels[digit]);
      const float distance = w[i] * difference * difference;
      if (distance < smallest) smallest = distance;
      for (int k = 0; k < filled; ++k) distances[digit * filled + k] = distances[k] + distance;
    }
    sum_of_smallest += smallest;
  }
  return sum_of_smallest;
}

// The entry nearest to target[kDim] in weighted squared distance. The distances of all possible
// halves of an entry are tabulated first; an entry's distance is then the sum of two of them, and
// whole runs of entries whose upper half is too far already are passed over.
template <int kDim, int kBits, int kEntries, int kLevels>
inline int nearest_entry(const Grid<kDim, kBits, kEntries, kLevels>& grid, const float* target,
                         const float* w) {
  using Book = Grid<kDim, kBits, kEntries, kLevels>;
  constexpr int kHalves = Book::kHalves;
  constexpr int kHalf = Book::kHalf;
  float lower[kHalves];
  float upper[kHalves];
  // A hair less, as the sums are rounded.
  const float least = 0.99999F * half_distances<kHalf, kLevels>(grid.levels, target, w, lower);
  half_distances<kHalf, kLevels>(grid.levels, target + kHalf, w + kHalf, upper);
  int nearest_half = 0;
  float nearest = 3.4e38F;
  for (int half = 0; half < kHalves; ++half) {
    if (grid.first_of[half] == grid.first_of[half + 1] || upper[half] >= nearest) continue;
    nearest = upper[half];
    nearest_half = half;
  }
  int best = grid.first_of[nearest_half];
  float best_distance = 3.4e38F;
  for (int turn = -1; turn < kHalves; ++turn) {  // the nearest run first, to pass over more
    const int half = turn < 0 ? nearest_half : turn;
    if (upper[half] + least > best_distance) continue;
    for (int e = grid.first_of[half]; e < grid.first_of[half + 1]; ++e) {
      const float distance = upper[half] + lower[grid.lower_half[e]];
      if (distance < best_distance || (distance == best_distance && e < best)) {
        best_distance = distance;
        best = e;
      }
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
// value that matters least gets the wrong sign.
template <int kDim, int kBits, int kEntries, int kLevels>
inline EncodedVector encode_vector(const Grid<kDim, kBits, kEntries, kLevels>& grid, const float* x,
                                   const float* w, float inv, bool even_signs, int8_t* q) {
  EncodedVector result{};
  float magnitudes[8];
  int least = 0;
  float least_cost = 3.4e38F;
  for (int i = 0; i < 8; ++i) {
    if (x[i] < 0.0F) result.signs |= static_cast<uint8_t>(1U << i);
    magnitudes[i] = ::fabsf(x[i]) * inv;
    const float cost = w[i] * magnitudes[i] * magnitudes[i];
    if (cost < least_cost) {
      least_cost = cost;
      least = i;
    }
  }
  if (even_signs && (__builtin_popcount(result.signs) & 1) != 0) {
    result.signs ^= static_cast<uint8_t>(1U << least);
    magnitudes[least] = -magnitudes[least];
  }
  for (int part = 0; part < 8 / kDim; ++part) {
    const int entry = nearest_entry(grid, magnitudes + part * kDim, w + part * kDim);
    result.entries[part] = static_cast<uint16_t>(entry);
    apply_signs(grid.values[entry], kDim, static_cast<uint32_t>(result.signs) >> (part * kDim),
                q + part * kDim);
  }
  return result;
}

// The sums for the codes of a group that are nearest to x * inv.
template <typename Coder>
inline ScaleFit fit_grid(const float* x, const float* w, float inv) {
  int8_t q[Coder::kGroup];
  Coder::encode(x, w, inv, q);
  ScaleFit fit;
  for (int i = 0; i < Coder::kGroup; ++i) fit.add(x[i], w[i], q[i]);
  return fit;
}

// The best real scale of a group.
template <typename Coder>
inline float fit_grid_scale(const float* x, const float* w) {
  const float magnitude = largest_magnitude(x, Coder::kGroup);
  double best_gain = 0.0;
  float best = 0.0F;
  for (int step = 0; step < 8; ++step) {  // the largest value falls 0.7 to 1.4 of the range
    const float range = (0.7F + 0.1F * static_cast<float>(step)) * Coder::kLargest;
    const ScaleFit fit = fit_grid<Coder>(x, w, range * inverse(magnitude));
    if (fit.gain() > best_gain) {
      best_gain = fit.gain();
      best = fit.scale();
    }
  }
  return best;
}

// The quantiser of all grid types: w = d * kScaleUnit * (2 s + 1) * q, s in [0, kScaleMax] per
// group. `Coder` provides kGroup (values per scale), kScaleUnit, kScaleMax, kLargest (the largest
// |q|), and
//   encode(x, w, inv, q)          q: what the codes nearest to x[kGroup] * inv stand for
//   store(block, g, s, x, w, inv) writes those codes and s into group g
//   store_d(block, d)             writes d; returns it as it will be decoded
// First every group gets its best real scale; then d and the integer scales; then d once more.
template <typename Coder, typename Block>
inline void quantize_grid(const float* in, const float* weights, Block& block) {
  constexpr int kGroup = Coder::kGroup;
  constexpr int kGroups = kSuperBlock / kGroup;
  float fits[kGroups];
  float largest = 0.0F;
  for (int g = 0; g < kGroups; ++g) {
    fits[g] = fit_grid_scale<Coder>(in + g * kGroup, weights + g * kGroup);
    if (fits[g] > largest) largest = fits[g];
  }

  block = Block{};
  const float unit =
      Coder::kScaleUnit *
      Coder::store_d(block, largest / (Coder::kScaleUnit * (2.0F * Coder::kScaleMax + 1.0F)));
  ScaleFit whole;
  for (int g = 0; g < kGroups; ++g) {
    const float* x = in + g * kGroup;
    const float* w = weights + g * kGroup;
    const int middle = round_clamped((fits[g] * inverse(unit) - 1.0F) * 0.5F, 0, Coder::kScaleMax);
    int best = middle;
    double best_error = 0.0;
    ScaleFit best_fit;
    bool first = true;
    for (int s = middle - 1; s <= middle + 1; ++s) {
      if (s < 0 || s > Coder::kScaleMax) continue;
      const float scale = unit * static_cast<float>(2 * s + 1);
      const ScaleFit fit = fit_grid<Coder>(x, w, inverse(scale));
      if (!first && fit.error(scale) >= best_error) continue;
      first = false;
      best_error = fit.error(scale);
      best_fit = fit;
      best = s;
    }
    Coder::store(block, g, best, x, w, inverse(unit * static_cast<float>(2 * best + 1)));
    const double scale = static_cast<double>(Coder::kScaleUnit) * (2 * best + 1);
    whole.wxq += scale * best_fit.wxq;
    whole.wqq += scale * scale * best_fit.wqq;
  }
  Coder::store_d(block, whole.scale());
}

}  // namespace
}  // namespace llmrun::quant
