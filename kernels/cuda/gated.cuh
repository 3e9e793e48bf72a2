// act(gate) * up: of a value, and as the end of the kernels that compute both products.
#pragma once

#include "kernels/cuda/math.cuh"
#include "kernels/cuda/products.h"
#include "kernels/cuda/quantize.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

__device__ __forceinline__ float gated(const GatedActivationParams& p, float gate, float up) {
  if (p.gate_cap > 0.0F) {
    return soft_cap(gate, p.gate_cap) * sigmoid(gate) * soft_cap(up, p.up_cap);
  }
  if (p.limit > 0.0F && p.up.data != nullptr) up = fminf(fmaxf(up, -p.limit), p.limit);
  if (p.limit > 0.0F && p.limit_activated) return fminf(activate(p.activation, gate), p.limit) * up;
  if (p.limit > 0.0F) gate = fminf(gate, p.limit);
  if (p.swiglu_oai) return gate * sigmoid(p.alpha * gate) * (up + 1.0F);
  return activate(p.activation, gate) * up;
}

// Of a block's kOutputs columns, whose products lie in `results` as [2][kDecodeRows][kOutputs].
template <int kOutputs>
__device__ __forceinline__ void activate_results(const GatedPair& pair, const float* results) {
  const GatedActivationParams& p = pair.op;
  constexpr int kResults = kDecodeRows * kOutputs;
  static_assert(kResults % 32 == 0 && kOutputs % 16 == 0);
  for (int i = static_cast<int>(threadIdx.x); i < kResults; i += static_cast<int>(blockDim.x)) {
    const int64_t row = i / kOutputs;
    const int64_t output = static_cast<int64_t>(blockIdx.x) * kOutputs + i % kOutputs;
    const bool is_one = row < p.gate.n && output < p.gate.width;
    float y = 0.0F;
    if (is_one) {
      y = gated(p, results[i], results[kResults + i]);
      p.y.data[row * p.y.stride + output] = y;
    }
    if (pair.quantized.q != nullptr) {
      write_quantized(y, row * p.gate.width + output, pair.quantized, is_one);
    }
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
