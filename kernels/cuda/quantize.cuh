// Rows as products of quantised weights read them: a part of whatever kernel has the values.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// Each half of a warp holds 16 values that lie side by side; `at` is the place of the lane's own
// among all values of the rows. Every lane calls it; those of a half write, or none of them.
__device__ __forceinline__ void write_quantized(float value, int64_t at, const QuantizedRows& out,
                                                bool writes = true) {
  float largest = fabsf(value);
  for (int bits = 8; bits > 0; bits /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, bits));
  }
  const float scale = largest / 127.0F;
  const float inverse = largest > 1e-35F ? 127.0F / largest : 0.0F;
  const int q = static_cast<int>(rintf(value * inverse));
  int sum = q;
  for (int bits = 8; bits > 0; bits /= 2) sum += __shfl_xor_sync(kAllLanes, sum, bits);
  if (!writes) return;
  out.q[at] = static_cast<int8_t>(q);
  if (threadIdx.x % 16 == 0) {
    out.scales[at / 16] = scale;
    out.sums[at / 16] = scale * static_cast<float>(sum);
  }
}

}  // namespace
}  // namespace llmrun::kernels::cuda
