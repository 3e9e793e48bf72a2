// Reference recurrent ops: one token after the other, sums in double, states in float32.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ref/ref.h"

namespace llmrun::kernels::ref {

namespace {

double at(const ConstRows& rows, int64_t t, int64_t i) {
  return static_cast<double>(rows.data[t * rows.stride + i]);
}

double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

void causal_conv(const CausalConvParams& p) {
  const int64_t n_before = (p.n_taps - 1) * p.dilation;
  std::vector<float> line(static_cast<size_t>(n_before + p.x.n));  // a channel over time
  for (int64_t c = 0; c < p.x.width; ++c) {
    for (int64_t i = 0; i < n_before; ++i) {
      line[static_cast<size_t>(i)] = p.state[i * p.state_stride + c];
    }
    for (int64_t t = 0; t < p.x.n; ++t) {
      line[static_cast<size_t>(n_before + t)] = p.x.data[t * p.x.stride + c];
    }
    for (int64_t t = 0; t < p.x.n; ++t) {
      double sum = p.bias == nullptr ? 0.0 : static_cast<double>(p.bias[c]);
      for (int64_t j = 0; j < p.n_taps; ++j) {
        sum += static_cast<double>(p.weight[c * p.n_taps + j]) *
               static_cast<double>(line[static_cast<size_t>(t + j * p.dilation)]);
      }
      p.y.data[t * p.y.stride + c] =
          static_cast<float>(p.silu ? activate(Activation::kSilu, sum) : sum);
    }
    for (int64_t i = 0; i < n_before; ++i) {
      p.state[i * p.state_stride + c] = line[static_cast<size_t>(p.x.n + i)];
    }
  }
}

void state_space(const StateSpaceParams& p) {
  for (int64_t t = 0; t < p.x.n; ++t) {
    for (int64_t r = 0; r < p.n_heads * p.head_dim; ++r) {
      const int64_t head = r / p.head_dim;
      const int64_t first = head / (p.n_heads / p.n_groups) * p.n_state;
      const double dt = p.dt.data == nullptr ? 1.0 : at(p.dt, t, head);
      const double x = at(p.x, t, r);
      float* const state = p.state + r * p.n_state;
      for (int64_t i = 0; i < p.n_state; ++i) {
        const auto a = static_cast<double>(p.a[p.a_per_state ? head * p.n_state + i : head]);
        state[i] = static_cast<float>(std::exp(dt * a) * static_cast<double>(state[i]) +
                                      dt * x * at(p.b, t, first + i));
      }
      double y = dot(state, p.c.data + t * p.c.stride + first, p.n_state);
      if (p.d != nullptr) y += static_cast<double>(p.d[head]) * x;
      p.y.data[t * p.y.stride + r] = static_cast<float>(y);
    }
  }
}

void delta_rule(const DeltaRuleParams& p) {
  const bool per_dim = p.log_decay.width != p.n_heads;
  for (int64_t t = 0; t < p.v.n; ++t) {
    for (int64_t r = 0; r < p.n_heads * p.v_dim; ++r) {
      const int64_t head = r / p.v_dim;
      const int64_t k_head = p.tiled_heads ? head % p.n_k_heads : head / (p.n_heads / p.n_k_heads);
      const float* const q = p.q.data + t * p.q.stride + k_head * p.k_dim;
      const float* const k = p.k.data + t * p.k.stride + k_head * p.k_dim;
      float* const state = p.state + r * p.k_dim;
      for (int64_t i = 0; i < p.k_dim; ++i) {
        const double decay = std::exp(at(p.log_decay, t, per_dim ? head * p.k_dim + i : head));
        state[i] = static_cast<float>(decay * static_cast<double>(state[i]));
      }
      const double error = at(p.beta, t, head) * (at(p.v, t, r) - dot(state, k, p.k_dim));
      for (int64_t i = 0; i < p.k_dim; ++i) {
        state[i] =
            static_cast<float>(static_cast<double>(state[i]) + error * static_cast<double>(k[i]));
      }
      p.y.data[t * p.y.stride + r] =
          static_cast<float>(static_cast<double>(p.scale) * dot(state, q, p.k_dim));
    }
  }
}

}  // namespace llmrun::kernels::ref
