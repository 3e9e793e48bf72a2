// Least-squares helpers of the quantisers: scales and offsets for a group of values, each value's
// squared error counting as much as its weight says. Sums are double, so that results do not depend
// on the magnitude of the values, and lie in four lanes, so that compilers use vectors: the order
// of a sum is part of the source, and results are the same on every machine.
#pragma once

#include <math.h>  // NOLINT(modernize-deprecated-headers): plain C functions, see policy.h

#include <cstdint>

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

inline constexpr int kLanes = 4;  // groups are multiples of it

// Nearest integer (ties to even) within [low, high]; NaN becomes low. Limits below 2^22.
inline float round_within(float value, float low, float high) {
  value = value > low ? value : low;
  value = value < high ? value : high;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: its unit is 1
  return (value + kRounder) - kRounder;
}
inline int round_clamped(float value, int low, int high) {
  return static_cast<int>(round_within(value, static_cast<float>(low), static_cast<float>(high)));
}

// 1 / scale, or 0 when that is not a finite number: then every q becomes 0.
inline float inverse(float scale) {
  const float result = scale != 0.0F ? 1.0F / scale : 0.0F;
  return result - result == 0.0F ? result : 0.0F;
}

inline float largest_magnitude(const float* x, int n) {
  float largest = 0.0F;
  for (int i = 0; i < n; ++i) {
    if (::fabsf(x[i]) > largest) largest = ::fabsf(x[i]);
  }
  return largest;
}

inline float sum_of(const float* x, int n) {
  float sum = 0.0F;
  for (int i = 0; i < n; ++i) sum += x[i];
  return sum;
}

// q = nearest integers to (x - offset) / scale within [low, high].
inline void round_all(const float* x, int n, float scale, float offset, int low, int high,
                      int8_t* q) {
  const float inv = inverse(scale);
  for (int i = 0; i < n; ++i) {
    q[i] = static_cast<int8_t>(round_clamped((x[i] - offset) * inv, low, high));
  }
}

// Sums over a group, w being the weights. With q fixed the best scale is wxq / wqq, and the
// squared error it leaves is sum(w x x) - gain().
struct ScaleFit {
  double wq = 0.0;
  double wqq = 0.0;
  double wxq = 0.0;
  void add(float x, float w, double q) {
    const double weighted = static_cast<double>(w) * q;
    wq += weighted;
    wqq += weighted * q;
    wxq += weighted * static_cast<double>(x);
  }
  float scale() const { return wqq > 0.0 ? static_cast<float>(wxq / wqq) : 0.0F; }
  double gain() const { return wqq > 0.0 ? wxq * wxq / wqq : 0.0; }
  // sum(w (x - s q)^2) less sum(w x x), which is the same for every s and q.
  double error(float s) const {
    return static_cast<double>(s) * (static_cast<double>(s) * wqq - 2.0 * wxq);
  }
};

// The sums for what `code(value)` makes of each (x - offset) * inv.
template <typename Code>
inline ScaleFit fit_coded(const float* x, const float* w, int n, float inv, float offset,
                          Code code) {
  double wq[kLanes] = {};
  double wqq[kLanes] = {};
  double wxq[kLanes] = {};
  for (int i = 0; i < n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const auto q = static_cast<double>(code((x[i + l] - offset) * inv));
      const double weighted = static_cast<double>(w[i + l]) * q;
      wq[l] += weighted;
      wqq[l] += weighted * q;
      wxq[l] += weighted * static_cast<double>(x[i + l]);
    }
  }
  return {(wq[0] + wq[1]) + (wq[2] + wq[3]), (wqq[0] + wqq[1]) + (wqq[2] + wqq[3]),
          (wxq[0] + wxq[1]) + (wxq[2] + wxq[3])};
}
inline ScaleFit fit_rounded(const float* x, const float* w, int n, float inv, float offset, int low,
                            int high) {
  const auto lowest = static_cast<float>(low);
  const auto highest = static_cast<float>(high);
  return fit_coded(x, w, n, inv, offset,
                   [=](float value) { return round_within(value, lowest, highest); });
}

// The scale for which scale * q, q integers in [low, high], comes nearest to x. Tries grids in
// which the largest value falls on, or up to 0.8 steps beside, either end of the range.
inline float fit_scale(const float* x, const float* w, int n, int low, int high) {
  float extreme = 0.0F;
  for (int i = 0; i < n; ++i) {
    if (::fabsf(x[i]) > ::fabsf(extreme)) extreme = x[i];
  }
  double best_gain = 0.0;
  float best = 0.0F;
  const int ends[2] = {low, high};
  for (const int end : ends) {
    if (end == 0) continue;
    for (int step = -8; step <= 8; ++step) {
      const float inv =
          (static_cast<float>(end) + 0.1F * static_cast<float>(step)) * inverse(extreme);
      const ScaleFit fit = fit_rounded(x, w, n, inv, 0.0F, low, high);
      if (fit.gain() > best_gain) {
        best_gain = fit.gain();
        best = fit.scale();
      }
    }
  }
  return best;
}

struct Affine {
  float scale = 0.0F;
  float offset = 0.0F;
};

// What does not change while a line is fitted.
struct AffineSums {
  double w = 0.0;
  double wx = 0.0;
  double wxx = 0.0;
};

// Rounds x to `from` * q, q in [0, high], and returns the least-squares line through those q, with
// its squared error. A scale of 0: the q are all equal, or the line falls.
inline Affine refit_affine(const float* x, const float* w, int n, const AffineSums& group, int high,
                           bool negative_offset, Affine from, double& error) {
  const ScaleFit sums = fit_rounded(x, w, n, inverse(from.scale), from.offset, 0, high);
  const double determinant = group.w * sums.wqq - sums.wq * sums.wq;
  if (!(determinant > 1e-12 * group.w * sums.wqq)) return {};
  double scale = (group.w * sums.wxq - sums.wq * group.wx) / determinant;
  double offset = (sums.wqq * group.wx - sums.wq * sums.wxq) / determinant;
  if (negative_offset && offset > 0.0) {
    offset = 0.0;
    scale = sums.wxq / sums.wqq;
  }
  if (!(scale > 0.0)) return {};
  error = group.wxx + scale * scale * sums.wqq + offset * offset * group.w -
          2.0 * scale * sums.wxq - 2.0 * offset * group.wx + 2.0 * scale * offset * sums.wq;
  return {static_cast<float>(scale), static_cast<float>(offset)};
}

// The scale and offset for which scale * q + offset, q in [0, high], comes nearest to x. With
// `negative_offset` the offset is kept at 0 or below (the K types store its magnitude). Starts
// from grids over the range of x, a little wider, narrower and shifted, and improves each by
// rounding and refitting in turn.
inline Affine fit_affine(const float* x, const float* w, int n, int high, bool negative_offset) {
  float lowest = x[0];
  float highest = x[0];
  AffineSums group;
  for (int i = 0; i < n; ++i) {
    if (x[i] < lowest) lowest = x[i];
    if (x[i] > highest) highest = x[i];
    const auto weight = static_cast<double>(w[i]);
    const auto value = static_cast<double>(x[i]);
    group.w += weight;
    group.wx += weight * value;
    group.wxx += weight * value * value;
  }
  if (negative_offset && lowest > 0.0F) lowest = 0.0F;
  if (!(highest > lowest)) return {0.0F, lowest};
  Affine best{(highest - lowest) / static_cast<float>(high), lowest};
  double best_error = -1.0;
  for (int step = -4; step <= 4; ++step) {
    for (int shift = -2; shift <= 2; ++shift) {
      Affine fit;
      fit.scale =
          (highest - lowest) / (static_cast<float>(high) + 0.25F * static_cast<float>(step));
      fit.offset = lowest + 0.25F * static_cast<float>(shift) * fit.scale;
      double last_error = 1.7e308;
      for (int round = 0; round < 3; ++round) {
        double error = 0.0;
        fit = refit_affine(x, w, n, group, high, negative_offset, fit, error);
        if (fit.scale == 0.0F || error >= last_error) break;  // no line, or it stays as it is
        last_error = error;
        if (best_error >= 0.0 && error >= best_error) {
          if (error > 1.2 * best_error) break;  // too far to catch up
          continue;
        }
        best_error = error;
        best = fit;
      }
    }
  }
  return best;
}

}  // namespace
}  // namespace llmrun::quant
