// Least-squares helpers of the reference quantisers: scales and offsets for a group of values.
// Sums are double, so that results do not depend on the magnitude of the values.
#pragma once

#include <math.h>  // NOLINT(modernize-deprecated-headers): plain C functions, see policy.h

#include <cstdint>

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

// Nearest integer (ties to even) within [low, high].
inline int round_clamped(float value, int low, int high) {
  if (!(value > static_cast<float>(low))) return low;
  if (!(value < static_cast<float>(high))) return high;
  return static_cast<int>(::lrintf(value));
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

// q = nearest integers to (x - offset) / scale within [low, high].
inline void round_all(const float* x, int n, float scale, float offset, int low, int high,
                      int8_t* q) {
  const float inv = inverse(scale);
  for (int i = 0; i < n; ++i) {
    q[i] = static_cast<int8_t>(round_clamped((x[i] - offset) * inv, low, high));
  }
}

// Squared error of scale * q.
inline double squared_error(const float* x, const int8_t* q, int n, float scale) {
  double error = 0.0;
  for (int i = 0; i < n; ++i) {
    const double difference =
        static_cast<double>(x[i]) - static_cast<double>(scale) * static_cast<double>(q[i]);
    error += difference * difference;
  }
  return error;
}

// Collects sum(x q) and sum(q q); with q fixed the best scale is their quotient, and the squared
// error it leaves is sum(x x) - gain().
struct ScaleFit {
  double xq = 0.0;
  double qq = 0.0;
  void add(float x, double q) {
    xq += static_cast<double>(x) * q;
    qq += q * q;
  }
  float scale() const { return qq > 0.0 ? static_cast<float>(xq / qq) : 0.0F; }
  double gain() const { return qq > 0.0 ? xq * xq / qq : 0.0; }
};

// The scale for which scale * q, q integers in [low, high], comes nearest to x. Tries grids in
// which the largest value falls on, or up to 0.8 steps beside, either end of the range.
inline float fit_scale(const float* x, int n, int low, int high) {
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
      ScaleFit fit;
      for (int i = 0; i < n; ++i) fit.add(x[i], round_clamped(x[i] * inv, low, high));
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

// Rounds x to `from` * q, q in [0, high], and returns the least-squares line through those q, with
// its squared error. A scale of 0: the q are all equal, or the line falls.
inline Affine refit_affine(const float* x, int n, int high, bool negative_offset, Affine from,
                           double& error) {
  const float inv = inverse(from.scale);
  ScaleFit sums;
  double sum_q = 0.0;
  double sum_x = 0.0;
  double sum_xx = 0.0;
  for (int i = 0; i < n; ++i) {
    const int q = round_clamped((x[i] - from.offset) * inv, 0, high);
    sums.add(x[i], q);
    sum_q += q;
    sum_x += static_cast<double>(x[i]);
    sum_xx += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  const double determinant = n * sums.qq - sum_q * sum_q;
  if (!(determinant > 0.0)) return {};
  double scale = (n * sums.xq - sum_q * sum_x) / determinant;
  double offset = (sums.qq * sum_x - sum_q * sums.xq) / determinant;
  if (negative_offset && offset > 0.0) {
    offset = 0.0;
    scale = sums.xq / sums.qq;
  }
  if (!(scale > 0.0)) return {};
  error = sum_xx + scale * scale * sums.qq + offset * offset * n - 2.0 * scale * sums.xq -
          2.0 * offset * sum_x + 2.0 * scale * offset * sum_q;
  return {static_cast<float>(scale), static_cast<float>(offset)};
}

// The scale and offset for which scale * q + offset, q in [0, high], comes nearest to x. With
// `negative_offset` the offset is kept at 0 or below (the K types store its magnitude). Starts
// from grids over the range of x, a little wider, narrower and shifted, and improves each by
// rounding and refitting in turn.
inline Affine fit_affine(const float* x, int n, int high, bool negative_offset) {
  float lowest = x[0];
  float highest = x[0];
  for (int i = 1; i < n; ++i) {
    if (x[i] < lowest) lowest = x[i];
    if (x[i] > highest) highest = x[i];
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
      for (int round = 0; round < 3; ++round) {
        double error = 0.0;
        fit = refit_affine(x, n, high, negative_offset, fit, error);
        if (fit.scale == 0.0F) break;
        if (best_error >= 0.0 && error >= best_error) continue;
        best_error = error;
        best = fit;
      }
    }
  }
  return best;
}

}  // namespace
}  // namespace llmrun::quant
