// Row-wise ops on the device: normalisation, activations, sums and scalings.
#include "kernels/cuda/gated.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/quantize.cuh"

namespace llmrun::kernels::cuda {
namespace {

// ---- normalisation: a block per group ----------------------------------------------------------

struct NormRowsParams {
  NormParams op;
  QuantizedRows quantized;
};

__global__ void __launch_bounds__(kThreads) norm(NormRowsParams params) {
  const NormParams& p = params.op;
  SharedMemory shared;
  float* const scratch = shared.array<float>(kThreads / 32);
  const int64_t groups = p.x.width / p.group;
  const int64_t row = blockIdx.x / groups;
  const int64_t first = blockIdx.x % groups * p.group;
  const float* const x = p.x.data + row * p.x.stride + first;
  float* const y = p.y.data + row * p.y.stride + first;
  const auto count = p.kind == NormKind::kLength ? 1.0F : static_cast<float>(p.group);
  float mean = 0.0F;
  if (p.kind == NormKind::kLayer) {
    float sum = 0.0F;
    for (int64_t i = threadIdx.x; i < p.group; i += blockDim.x) sum += x[i];
    mean = block_sum(sum, scratch) / count;
  }
  float squares = 0.0F;
  for (int64_t i = threadIdx.x; i < p.group; i += blockDim.x) {
    const float centred = x[i] - mean;
    squares = fmaf(centred, centred, squares);
  }
  const float factor = 1.0F / sqrtf(block_sum(squares, scratch) / count + p.eps);
  const int64_t w = p.weight_size == p.group ? 0 : first;
  for (int64_t i = threadIdx.x; i < p.group; i += blockDim.x) {
    float value = (x[i] - mean) * factor;
    if (p.weight != nullptr) value *= p.weight[w + i];
    if (p.bias != nullptr) value += p.bias[w + i];
    y[i] = value;
    if (params.quantized.q != nullptr) {
      write_quantized(value, row * p.x.width + first + i, params.quantized);
    }
  }
}

// ---- a thread per element
// ------------------------------------------------------------------------

struct GatedRowsParams {
  GatedActivationParams op;
  QuantizedRows quantized;
};

__global__ void __launch_bounds__(kThreads) gated_activation(GatedRowsParams params) {
  const GatedActivationParams& p = params.op;
  const int64_t index = thread_index();
  if (index >= p.gate.n * p.gate.width) return;
  const int64_t t = index / p.gate.width;
  const int64_t i = index % p.gate.width;
  const float up = p.up.data == nullptr ? 1.0F : p.up.data[t * p.up.stride + i];
  const float y = gated(p, p.gate.data[t * p.gate.stride + i], up);
  p.y.data[t * p.y.stride + i] = y;
  if (params.quantized.q != nullptr) write_quantized(y, index, params.quantized);
}

__global__ void __launch_bounds__(kThreads) add(AddParams p) {
  const int64_t index = thread_index();
  if (index >= p.x.n * p.x.width) return;
  const int64_t t = index / p.x.width;
  const int64_t i = index % p.x.width;
  float& y = p.y.data[t * p.y.stride + i];
  y = p.x.data[t * p.x.stride + i] * p.x_scale + y * p.y_scale;
}

__global__ void __launch_bounds__(kThreads) multiply(MultiplyParams p) {
  const int64_t index = thread_index();
  if (index >= p.y.n * p.y.width) return;
  const int64_t t = index / p.y.width;
  const int64_t i = index % p.y.width;
  p.y.data[t * p.y.stride + i] *= activate(p.activation, p.x.data[t * p.x.stride + i / p.repeat]);
}

__global__ void __launch_bounds__(kThreads) scale(ScaleParams p) {
  const int64_t index = thread_index();
  if (index >= p.x.n * p.x.width) return;
  const int64_t t = index / p.x.width;
  float& x = p.x.data[t * p.x.stride + index % p.x.width];
  float value = x * (p.row_factor == nullptr ? 1.0F : p.row_factor[t]) * p.factor;
  if (p.clamp > 0.0F) value = fminf(fmaxf(value, -p.clamp), p.clamp);
  x = soft_cap(value, p.soft_cap);
}

__global__ void __launch_bounds__(kThreads) mix_rows(MixRowsParams p) {
  const int64_t index = thread_index();
  if (index >= p.y.n * p.y.width) return;
  const int64_t t = index / p.y.width;
  const int64_t i = index % p.y.width;
  const float* const scores = p.scores.data + t * p.scores.stride;
  float largest = scores[0];
  for (int64_t j = 1; j < p.scores.width; ++j) largest = fmaxf(largest, scores[j]);
  float total = 0.0F;
  float sum = 0.0F;
  for (int64_t j = 0; j < p.scores.width; ++j) {
    const float weight = expf(scores[j] - largest);
    total += weight;
    sum = fmaf(weight, p.x.data[j * p.x_step + t * p.x.stride + i], sum);
  }
  p.y.data[t * p.y.stride + i] = sum / total;
}

// ---- a warp per group --------------------------------------------------------------------------

__global__ void __launch_bounds__(kThreads) group_dot(GroupDotParams p) {
  const int64_t index = thread_index() / 32;
  if (index >= p.y.n * p.y.width) return;
  const int64_t t = index / p.y.width;
  const int64_t g = index % p.y.width;
  const float* const a = p.a.data + t * p.a.stride + g * p.group;
  const float* const b = p.b.data + t * p.b.stride + g * p.group;
  float sum = 0.0F;
  for (int64_t i = threadIdx.x % 32; i < p.group; i += 32) sum = fmaf(a[i], b[i], sum);
  float y = p.scale * warp_sum(sum);
  if (p.signed_root && y != 0.0F) y = copysignf(sqrtf(fmaxf(fabsf(y), 1e-6F)), y);
  if (threadIdx.x % 32 == 0) p.y.data[t * p.y.stride + g] = y;
}

template <typename Params>
cudaError_t launch_elements(int64_t n, void (*kernel)(Params), const Params& params, Queue& queue) {
  const unsigned blocks = blocks_for(n);
  if (n < 0 || (blocks == 0 && n > 0)) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, kernel, params);
}

}  // namespace

cudaError_t launch_norm(const NormParams& p, const QuantizedRows& quantized, Queue& queue) {
  if (p.group <= 0 || p.x.width % p.group != 0) return cudaErrorInvalidValue;
  if (quantized.q != nullptr && p.group % 32 != 0) return cudaErrorInvalidValue;
  const int64_t n = p.x.n * (p.x.width / p.group);
  if (n > 0x7fffffff) return cudaErrorInvalidValue;
  const unsigned threads = p.group <= 512 ? 32 : kThreads;
  return launch({static_cast<unsigned>(n), 1, 1}, threads, shared_bytes<float>(kThreads / 32),
                queue, norm, NormRowsParams{p, quantized});
}

cudaError_t launch_gated_activation(const GatedActivationParams& p, const QuantizedRows& quantized,
                                    Queue& queue) {
  if (quantized.q != nullptr && p.gate.width % 32 != 0) return cudaErrorInvalidValue;
  return launch_elements(p.gate.n * p.gate.width, gated_activation, GatedRowsParams{p, quantized},
                         queue);
}
cudaError_t launch_add(const AddParams& p, Queue& queue) {
  return launch_elements(p.x.n * p.x.width, add, p, queue);
}
cudaError_t launch_multiply(const MultiplyParams& p, Queue& queue) {
  if (p.repeat <= 0) return cudaErrorInvalidValue;
  return launch_elements(p.y.n * p.y.width, multiply, p, queue);
}
cudaError_t launch_scale(const ScaleParams& p, Queue& queue) {
  return launch_elements(p.x.n * p.x.width, scale, p, queue);
}
cudaError_t launch_group_dot(const GroupDotParams& p, Queue& queue) {
  return launch_elements(p.y.n * p.y.width * 32, group_dot, p, queue);
}
cudaError_t launch_mix_rows(const MixRowsParams& p, Queue& queue) {
  if (p.scores.width <= 0) return cudaErrorInvalidValue;
  return launch_elements(p.y.n * p.y.width, mix_rows, p, queue);
}

}  // namespace llmrun::kernels::cuda
