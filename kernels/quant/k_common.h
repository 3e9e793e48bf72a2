// What the K types share: 256 values in groups of 16 or 32 whose scales (and offsets) are small
// integers times one float16.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

// The 12 bytes of Q4_K and Q5_K: eight 6-bit scales and eight 6-bit minimums.
//   bytes 0-3   scale 0-3 (low 6 bits), upper 2 bits of scale 4-7
//   bytes 4-7   minimum 0-3,            upper 2 bits of minimum 4-7
//   bytes 8-11  low nibble: lower 4 bits of scale 4-7, high nibble: of minimum 4-7
struct PackedScales {
  uint8_t bytes[12];

  void get(uint8_t* scales, uint8_t* minimums) const {
    for (int i = 0; i < 4; ++i) {
      scales[i] = bytes[i] & 63;
      minimums[i] = bytes[i + 4] & 63;
      scales[i + 4] = static_cast<uint8_t>((bytes[i + 8] & 15) | ((bytes[i] >> 6) << 4));
      minimums[i + 4] = static_cast<uint8_t>((bytes[i + 8] >> 4) | ((bytes[i + 4] >> 6) << 4));
    }
  }
  void set(const uint8_t* scales, const uint8_t* minimums) {
    for (int i = 0; i < 4; ++i) {
      bytes[i] = static_cast<uint8_t>(scales[i] | ((scales[i + 4] >> 4) << 6));
      bytes[i + 4] = static_cast<uint8_t>(minimums[i] | ((minimums[i + 4] >> 4) << 6));
      bytes[i + 8] = static_cast<uint8_t>((scales[i + 4] & 15) | ((minimums[i + 4] & 15) << 4));
    }
  }
};

// Fits a super-block of the form d * scale[g] * q - dmin * minimum[g], q in [0, q_max], with
// integer scales and minimums in [0, s_max]; rounds q to what will be decoded.
template <int kGroupSize>
inline void fit_k_affine(const float* in, int q_max, int s_max, Half& d, Half& dmin,
                         uint8_t* scales, uint8_t* minimums, int8_t* q) {
  constexpr int kGroups = kSuperBlock / kGroupSize;
  Affine fits[kGroups];
  float largest_scale = 0.0F;
  float largest_minimum = 0.0F;
  for (int g = 0; g < kGroups; ++g) {
    fits[g] = fit_affine(in + g * kGroupSize, kGroupSize, q_max, true);
    if (fits[g].scale > largest_scale) largest_scale = fits[g].scale;
    if (-fits[g].offset > largest_minimum) largest_minimum = -fits[g].offset;
  }
  const float unit = d.set(largest_scale / static_cast<float>(s_max));
  const float minimum_unit = dmin.set(largest_minimum / static_cast<float>(s_max));
  for (int g = 0; g < kGroups; ++g) {
    const float* x = in + g * kGroupSize;
    int8_t* group = q + g * kGroupSize;
    const int scale = round_clamped(fits[g].scale * inverse(unit), 0, s_max);
    const int minimum = round_clamped(-fits[g].offset * inverse(minimum_unit), 0, s_max);
    scales[g] = static_cast<uint8_t>(scale);
    minimums[g] = static_cast<uint8_t>(minimum);
    round_all(x, kGroupSize, unit * static_cast<float>(scale),
              -minimum_unit * static_cast<float>(minimum), 0, q_max, group);
  }
}

// Fits d * scale[g] * q, q in [q_low, q_high], integer scales in [s_low, s_high].
inline void fit_k_symmetric(const float* in, int group_size, int q_low, int q_high, int s_low,
                            int s_high, Half& d, int8_t* scales, int8_t* q) {
  const int groups = kSuperBlock / group_size;
  float fits[kSuperBlock / 16];
  for (int g = 0; g < groups; ++g) {
    fits[g] = fit_scale(in + g * group_size, group_size, q_low, q_high);
  }
  const float unit = d.set(fit_scale(fits, groups, s_low, s_high));
  for (int g = 0; g < groups; ++g) {
    const int scale = round_clamped(fits[g] * inverse(unit), s_low, s_high);
    scales[g] = static_cast<int8_t>(scale);
    round_all(in + g * group_size, group_size, unit * static_cast<float>(scale), 0.0F, q_low,
              q_high, q + g * group_size);
  }
}

}  // namespace
}  // namespace llmrun::quant
