// What IQ1_S and IQ1_M share. Their codebook entries are g = -1, 0 or 1, and all values of a vector
// are shifted by +1/8 or -1/8: w = scale * (g +- 1/8) = scale / 8 * q with q = 8 g +- 1.
#pragma once

#include "kernels/quant/iq_common.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

constexpr auto kIq1Grid = expand_grid<8, 2>(kIq1Codes, kIq1Levels);

inline void unpack_iq1_vector(int entry, bool shift_down, int8_t* q) {
  const int shift = shift_down ? -1 : 1;
  for (int i = 0; i < 8; ++i) q[i] = static_cast<int8_t>(8 * kIq1Grid.values[entry][i] + shift);
}

// Encodes x * inv, n / 8 vectors with one shift. Returns the squared error in units of 1 / inv.
inline float encode_iq1_vectors(const float* x, const float* w, int n, float inv, bool shift_down,
                                int8_t* q, int* entries) {
  const float shift = shift_down ? -1.0F : 1.0F;
  float error = 0.0F;
  for (int v = 0; v < n / 8; ++v) {
    float target[8];
    for (int i = 0; i < 8; ++i) target[i] = (x[8 * v + i] * inv - shift) * 0.125F;
    entries[v] = nearest_entry(kIq1Grid, target, w + 8 * v);
    unpack_iq1_vector(entries[v], shift_down, q + 8 * v);
    for (int i = 8 * v; i < 8 * v + 8; ++i) {
      const float difference = x[i] * inv - static_cast<float>(q[i]);
      error += w[i] * difference * difference;
    }
  }
  return error;
}

// The same with the better of both shifts, which is returned: true for down.
inline bool encode_iq1(const float* x, const float* w, int n, float inv, int8_t* q, int* entries) {
  const float up = encode_iq1_vectors(x, w, n, inv, false, q, entries);
  const float down = encode_iq1_vectors(x, w, n, inv, true, q, entries);
  if (down < up) return true;
  encode_iq1_vectors(x, w, n, inv, false, q, entries);
  return false;
}

}  // namespace
}  // namespace llmrun::quant
