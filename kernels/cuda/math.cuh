// Activation functions, in forms that neither cancel nor overflow.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/ops.h"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

__device__ __forceinline__ float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

__device__ __forceinline__ float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kSilu:
      return x / (1.0F + expf(-x));
    case Activation::kGelu: {  // x * (1 + tanh(u)) / 2 is x * sigmoid(2 u)
      const float u = 0.797884560802865356F * (x + 0.044715F * x * x * x);
      return x / (1.0F + expf(-2.0F * u));
    }
    case Activation::kGeluErf:
      return 0.5F * x * erfcf(-0.707106781186547524F * x);
    case Activation::kGeluQuick:
      return x / (1.0F + expf(-1.702F * x));
    case Activation::kRelu:
      return fmaxf(x, 0.0F);
    case Activation::kRelu2:
      return fmaxf(x, 0.0F) * fmaxf(x, 0.0F);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kTanh:
      return tanhf(x);
    case Activation::kSoftplus:
      return fmaxf(x, 0.0F) + log1pf(expf(-fabsf(x)));
    case Activation::kExp:
      return expf(x);
    case Activation::kReciprocal:
      return 1.0F / x;
  }
  return x;
}

// cap * tanh(x / cap); 0: x.
__device__ __forceinline__ float soft_cap(float x, float cap) {
  return cap > 0.0F ? cap * tanhf(x / cap) : x;
}

}  // namespace
}  // namespace llmrun::kernels::cuda
