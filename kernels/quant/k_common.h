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

// The pair (d, dmin) for which d * scales[g] * q - dmin * minimums[g] is nearest to `in`, the
// integers being given. Leaves d and dmin as they are where there is no single best pair.
inline void refit_units(const float* in, const float* w, int group_size, const uint8_t* scales,
                        const uint8_t* minimums, const int8_t* q, Half& d, Half& dmin) {
  double aa = 0.0;  // sums of products of a = scale * q, b = -minimum and x
  double ab = 0.0;
  double bb = 0.0;
  double ax = 0.0;
  double bx = 0.0;
  for (int i = 0; i < kSuperBlock; ++i) {
    const double a = scales[i / group_size] * q[i];
    const double b = -minimums[i / group_size];
    const auto weight = static_cast<double>(w[i]);
    const auto x = static_cast<double>(in[i]);
    aa += weight * a * a;
    ab += weight * a * b;
    bb += weight * b * b;
    ax += weight * a * x;
    bx += weight * b * x;
  }
  const double determinant = aa * bb - ab * ab;
  if (!(determinant > 1e-9 * aa * bb)) return;
  d.set(static_cast<float>((bb * ax - ab * bx) / determinant));
  dmin.set(static_cast<float>((aa * bx - ab * ax) / determinant));
}

// Fits a super-block of the form d * scale[g] * q - dmin * minimum[g], q in [0, q_max], with
// integer scales and minimums in [0, s_max]; rounds q to what will be decoded.
template <int kGroupSize>
inline void fit_k_affine(const float* in, const float* w, int q_max, int s_max, Half& d, Half& dmin,
                         uint8_t* scales, uint8_t* minimums, int8_t* q) {
  constexpr int kGroups = kSuperBlock / kGroupSize;
  Affine fits[kGroups];
  float largest_scale = 0.0F;
  float largest_minimum = 0.0F;
  for (int g = 0; g < kGroups; ++g) {
    fits[g] = fit_affine(in + g * kGroupSize, w + g * kGroupSize, kGroupSize, q_max, true);
    if (fits[g].scale > largest_scale) largest_scale = fits[g].scale;
    if (-fits[g].offset > largest_minimum) largest_minimum = -fits[g].offset;
  }
  d.set(largest_scale / static_cast<float>(s_max));
  dmin.set(largest_minimum / static_cast<float>(s_max));
  for (int g = 0; g < kGroups; ++g) {
    const int scale = round_clamped(fits[g].scale * inverse(d.get()), 0, s_max);
    const int minimum = round_clamped(-fits[g].offset * inverse(dmin.get()), 0, s_max);
    scales[g] = static_cast<uint8_t>(scale);
    minimums[g] = static_cast<uint8_t>(minimum);
  }
  for (int round = 0; round < 2; ++round) {
    for (int g = 0; g < kGroups; ++g) {
      round_all(in + g * kGroupSize, kGroupSize, d.get() * static_cast<float>(scales[g]),
                -(dmin.get() * static_cast<float>(minimums[g])), 0, q_max, q + g * kGroupSize);
    }
    if (round == 0) refit_units(in, w, kGroupSize, scales, minimums, q, d, dmin);
  }
}

// Fits d * scale[g] * q, q in [q_low, q_high], integer scales in [s_low, s_high]: every group gets
// its best real scale, these get a common unit, then each group the best of the nearby integers;
// with those fixed the unit is refitted and everything rounded again.
inline void fit_k_symmetric(const float* in, const float* w, int group_size, int q_low, int q_high,
                            int s_low, int s_high, Half& d, int8_t* scales, int8_t* q) {
  const int groups = kSuperBlock / group_size;
  float fits[kSuperBlock / 16];
  float group_weights[kSuperBlock / 16];
  for (int g = 0; g < groups; ++g) {
    const float* group = w + g * group_size;
    fits[g] = fit_scale(in + g * group_size, group, group_size, q_low, q_high);
    group_weights[g] = sum_of(group, group_size);
  }
  d.set(fit_scale(fits, group_weights, groups, s_low, s_high));
  for (int round = 0; round < 2; ++round) {
    const float unit = d.get();
    ScaleFit whole;
    for (int g = 0; g < groups; ++g) {
      const float* x = in + g * group_size;
      const float* weights = w + g * group_size;
      const int middle = round_clamped(fits[g] * inverse(unit), s_low, s_high);
      int best = middle;
      double best_error = 0.0;
      ScaleFit best_fit;
      bool first = true;
      for (int s = middle - 1; s <= middle + 1; ++s) {
        if (s < s_low || s > s_high) continue;
        const float scale = unit * static_cast<float>(s);
        const ScaleFit fit =
            fit_rounded(x, weights, group_size, inverse(scale), 0.0F, q_low, q_high);
        if (!first && fit.error(scale) >= best_error) continue;
        first = false;
        best_error = fit.error(scale);
        best_fit = fit;
        best = s;
      }
      scales[g] = static_cast<int8_t>(best);
      round_all(x, group_size, unit * static_cast<float>(best), 0.0F, q_low, q_high,
                q + g * group_size);
      whole.wxq += best * best_fit.wxq;
      whole.wqq += static_cast<double>(best) * best * best_fit.wqq;
    }
    if (round == 0 && whole.wqq > 0.0) d.set(whole.scale());
  }
}

}  // namespace
}  // namespace llmrun::quant
