// The 16-value codebooks of the 4-bit non-linear types, and fitting scales for them.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

// IQ4_NL and IQ4_XS: denser near zero, as weights are; slightly lopsided.
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
// E2M1 (OCP FP4), doubled to be integers. Code 8 is minus zero and decodes as 0.
constexpr int8_t kE2m1Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// The code of the entry nearest to value; of two equally near ones the first.
inline int nearest_code(const int8_t (&values)[16], float value) {
  int best = 0;
  for (int code = 1; code < 16; ++code) {
    if (::fabsf(static_cast<float>(values[code]) - value) <
        ::fabsf(static_cast<float>(values[best]) - value)) {
      best = code;
    }
  }
  return best;
}

// kIq4Values[nearest_code(kIq4Values, value)]: the values ascend, so each border between two of
// them that lies below `value` adds a step. Without branches, for vectors.
inline float nearest_iq4_value(float value) {
  float nearest = kIq4Values[0];
  for (int code = 1; code < 16; ++code) {
    const auto below = static_cast<float>(kIq4Values[code - 1]);
    const auto step = static_cast<float>(kIq4Values[code]) - below;
    nearest += value > below + 0.5F * step ? step : 0.0F;
  }
  return nearest;
}

// Weighted squared error of x when its values are rounded to scale * codebook.
inline double codebook_error(const int8_t (&values)[16], const float* x, const float* w, int n,
                             float scale) {
  const float inv = inverse(scale);
  double error = 0.0;
  for (int i = 0; i < n; ++i) {
    const int code = nearest_code(values, x[i] * inv);
    const double difference =
        static_cast<double>(x[i]) - static_cast<double>(scale) * static_cast<double>(values[code]);
    error += static_cast<double>(w[i]) * difference * difference;
  }
  return error;
}

// The scale (of either sign) for which scale * kIq4Values comes nearest to x.
inline float fit_iq4_scale(const float* x, const float* w, int n) {
  const float magnitude = largest_magnitude(x, n);
  float best = 0.0F;
  double best_gain = 0.0;
  const float signs[2] = {1.0F, -1.0F};
  for (const float sign : signs) {
    for (int step = 0; step <= 16; ++step) {  // where the largest value falls: 100 to 148
      const float range = 100.0F + 3.0F * static_cast<float>(step);
      const float inv = sign * range * inverse(magnitude);
      const ScaleFit fit = fit_coded(x, w, n, inv, 0.0F, nearest_iq4_value);
      if (fit.gain() > best_gain) {
        best_gain = fit.gain();
        best = fit.scale();
      }
    }
  }
  return best;
}

// kValues codes as nibbles: byte i holds value i (low nibble) and value i + kValues / 2 (high
// nibble).
template <int kValues>
inline void unpack_codes(const int8_t (&values)[16], const uint8_t* bytes, int8_t* q) {
  for (int i = 0; i < kValues / 2; ++i) {
    q[i] = values[bytes[i] & 15];
    q[i + kValues / 2] = values[bytes[i] >> 4];
  }
}
template <int kValues>
inline void pack_codes(const int8_t (&values)[16], const float* x, float scale, uint8_t* bytes) {
  const float inv = inverse(scale);
  for (int i = 0; i < kValues / 2; ++i) {
    bytes[i] = static_cast<uint8_t>(nearest_code(values, x[i] * inv) |
                                    (nearest_code(values, x[i + kValues / 2] * inv) << 4));
  }
}

}  // namespace
}  // namespace llmrun::quant
