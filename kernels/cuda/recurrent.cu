// Recurrent mixers on the device. A state is walked token by token, always by the same threads in
// the same order, so cutting a sequence anywhere gives the same bits.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/math.cuh"

namespace llmrun::kernels::cuda {
namespace {

// A thread per channel.
__global__ void __launch_bounds__(kThreads) causal_conv(CausalConvParams p) {
  const int64_t c = thread_index();
  if (c >= p.x.width) return;
  const int64_t n_before = (p.n_taps - 1) * p.dilation;
  // The channel at time i, the state coming before the rows of x.
  const auto line = [&](int64_t i) {
    return i < n_before ? p.state[i * p.state_stride + c]
                        : p.x.data[(i - n_before) * p.x.stride + c];
  };
  for (int64_t t = 0; t < p.x.n; ++t) {
    float sum = p.bias == nullptr ? 0.0F : p.bias[c];
    for (int64_t j = 0; j < p.n_taps; ++j) {
      sum = fmaf(p.weight[c * p.n_taps + j], line(t + j * p.dilation), sum);
    }
    p.y.data[t * p.y.stride + c] = p.silu ? activate(Activation::kSilu, sum) : sum;
  }
  // Ascending, so that a value is read before it is written over.
  for (int64_t i = 0; i < n_before; ++i) p.state[i * p.state_stride + c] = line(p.x.n + i);
}

// A warp per row of the state.
__global__ void __launch_bounds__(kThreads) state_space(StateSpaceParams p) {
  const int64_t r = thread_index() / 32;
  const int64_t lane = threadIdx.x % 32;
  if (r >= p.n_heads * p.head_dim) return;
  const int64_t head = r / p.head_dim;
  const int64_t first = head / (p.n_heads / p.n_groups) * p.n_state;
  float* const state = p.state + r * p.n_state;
  for (int64_t t = 0; t < p.x.n; ++t) {
    const float dt = p.dt.data == nullptr ? 1.0F : p.dt.data[t * p.dt.stride + head];
    const float x = p.x.data[t * p.x.stride + r];
    const float* const b = p.b.data + t * p.b.stride + first;
    const float* const c = p.c.data + t * p.c.stride + first;
    float sum = 0.0F;
    for (int64_t i = lane; i < p.n_state; i += 32) {
      const float a = p.a[p.a_per_state ? head * p.n_state + i : head];
      const float value = expf(dt * a) * state[i] + dt * x * b[i];
      state[i] = value;
      sum = fmaf(value, c[i], sum);
    }
    float y = warp_sum(sum);
    if (p.d != nullptr) y = fmaf(p.d[head], x, y);
    if (lane == 0) p.y.data[t * p.y.stride + r] = y;
    __syncwarp();  // y may be x: all lanes have read it
  }
}

// A warp per row of the state.
__global__ void __launch_bounds__(kThreads) delta_rule(DeltaRuleParams p) {
  const int64_t r = thread_index() / 32;
  const int64_t lane = threadIdx.x % 32;
  if (r >= p.n_heads * p.v_dim) return;
  const int64_t head = r / p.v_dim;
  const int64_t k_head = p.tiled_heads ? head % p.n_k_heads : head / (p.n_heads / p.n_k_heads);
  const bool per_dim = p.log_decay.width != p.n_heads;
  float* const state = p.state + r * p.k_dim;
  for (int64_t t = 0; t < p.v.n; ++t) {
    const float* const q = p.q.data + t * p.q.stride + k_head * p.k_dim;
    const float* const k = p.k.data + t * p.k.stride + k_head * p.k_dim;
    const float* const decay = p.log_decay.data + t * p.log_decay.stride;
    float dot = 0.0F;
    for (int64_t i = lane; i < p.k_dim; i += 32) {
      const float value = expf(decay[per_dim ? head * p.k_dim + i : head]) * state[i];
      state[i] = value;
      dot = fmaf(value, k[i], dot);
    }
    dot = warp_sum(dot);
    const float error =
        p.beta.data[t * p.beta.stride + head] * (p.v.data[t * p.v.stride + r] - dot);
    float sum = 0.0F;
    for (int64_t i = lane; i < p.k_dim; i += 32) {
      const float value = fmaf(error, k[i], state[i]);
      state[i] = value;
      sum = fmaf(value, q[i], sum);
    }
    sum = warp_sum(sum);  // all lanes have read v, which y may be
    if (lane == 0) p.y.data[t * p.y.stride + r] = p.scale * sum;
  }
}

template <typename Params>
cudaError_t launch_warps(int64_t n, void (*kernel)(Params), const Params& params, Queue& queue) {
  const unsigned blocks = blocks_for(n * 32);
  if (blocks == 0 && n > 0) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, kernel, params);
}

}  // namespace

cudaError_t launch_causal_conv(const CausalConvParams& p, Queue& queue) {
  if (p.n_taps < 1 || p.n_taps > kMaxConvTaps || p.dilation < 1) return cudaErrorInvalidValue;
  return launch({blocks_for(p.x.width), 1, 1}, kThreads, 0, queue, causal_conv, p);
}

cudaError_t launch_state_space(const StateSpaceParams& p, Queue& queue) {
  if (p.n_groups < 1 || p.n_heads % p.n_groups != 0) return cudaErrorInvalidValue;
  return launch_warps(p.n_heads * p.head_dim, state_space, p, queue);
}

cudaError_t launch_delta_rule(const DeltaRuleParams& p, Queue& queue) {
  if (p.n_k_heads < 1 || p.n_heads % p.n_k_heads != 0) return cudaErrorInvalidValue;
  return launch_warps(p.n_heads * p.v_dim, delta_rule, p, queue);
}

}  // namespace llmrun::kernels::cuda
