// A token drawn for each row from the best of it, which best.cu has left: one block per row. Only
// sums, whose order is that of src/sampling, are one thread's work.
#include <cmath>
#include <cstdint>

#include "base/exp.h"
#include "kernels/cuda/best_keys.cuh"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

constexpr int kMostCandidates = static_cast<int>(kMaxBest + kMaxNamed);

struct DrawTokensParams {
  ConstRows x;
  const int32_t* best;  // [n, n_best]
  int64_t n_best;
  const DrawnRow* rows;       // [n]
  const TouchedToken* named;  // [n, n_named]
  int64_t n_named;
  int32_t* tokens;
  float* logits;
};

// As src/sampling/logit_bias.cpp and penalties.cpp.
__device__ __forceinline__ float changed(float logit, const TouchedToken& token,
                                         const DrawnRow& row) {
  if (token.has_bias != 0) logit += token.bias;
  if (token.count == 0) return logit;
  logit = logit > 0.0F ? logit / row.repeat_penalty : logit * row.repeat_penalty;
  return logit - (static_cast<float>(token.count) * row.frequency_penalty + row.presence_penalty);
}

__device__ __forceinline__ bool is_named(const TouchedToken* named, int32_t n, int32_t token) {
  for (int32_t i = 0; i < n; ++i) {
    if (named[i].id == token) return true;
  }
  return false;
}

// How many of the n best stay after top-p: those that first hold the share of the probability.
__device__ __forceinline__ int nucleus(const double* weights, int n, float top_p) {
  double sum = 0.0;
  for (int i = 0; i < n; ++i) sum += weights[i];
  const double wanted = sum * static_cast<double>(top_p);
  double mass = 0.0;
  for (int i = 0; i < n; ++i) {
    mass += weights[i];
    if (mass >= wanted) return i + 1;
  }
  return n;
}

__device__ __forceinline__ int at_least(const uint64_t* keys, int n, float limit) {
  int kept = 0;
  while (kept < n && value_of(keys[kept]) >= limit) ++kept;
  return kept == 0 ? 1 : kept;
}

__device__ __forceinline__ int draw_index(const double* probabilities, int n, double u) {
  double sum = 0.0;
  int last_possible = 0;
  for (int i = 0; i < n; ++i) {
    if (probabilities[i] <= 0.0) continue;
    last_possible = i;
    sum += probabilities[i];
    if (u < sum) break;
  }
  return last_possible;
}

// The exponent of candidate i's probability: its logit under the temperature, to the best one's.
__device__ __forceinline__ double exponent(float logit, double top, float temperature) {
  const double difference = static_cast<double>(logit) - top;
  if (temperature == 1.0F) return difference;
  const float scaled =
      difference == 0.0 ? 0.0F : static_cast<float>(difference / static_cast<double>(temperature));
  return static_cast<double>(scaled);
}

// The place of the token among the n sorted candidates; the whole block calls it.
__device__ __forceinline__ int draw_from(const uint64_t* sorted, const DrawnRow& row,
                                         double* weights, double* shared_sum, int* shared_n) {
  const int n = row.n_kept;
  const double top = static_cast<double>(value_of(sorted[0]));
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    weights[i] = exp_negative(static_cast<double>(value_of(sorted[i])) - top);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    int kept = row.top_p < 1.0F ? nucleus(weights, n, row.top_p) : n;
    if (row.has_min_p != 0) kept = at_least(sorted, kept, static_cast<float>(top + row.log_min_p));
    *shared_n = kept;
  }
  __syncthreads();
  const int kept = *shared_n;
  for (int i = static_cast<int>(threadIdx.x); i < kept; i += static_cast<int>(blockDim.x)) {
    weights[i] = exp_negative(exponent(value_of(sorted[i]), top, row.temperature));
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double sum = 0.0;
    for (int i = 0; i < kept; ++i) sum += weights[i];
    *shared_sum = sum;
  }
  __syncthreads();
  const double sum = *shared_sum;
  for (int i = static_cast<int>(threadIdx.x); i < kept; i += static_cast<int>(blockDim.x)) {
    weights[i] /= sum;
  }
  __syncthreads();
  return threadIdx.x == 0 ? draw_index(weights, kept, row.uniform) : 0;
}

// The row's best one says whether something can be drawn.
__device__ __forceinline__ bool can_draw(float top, int32_t column, int32_t* token, float* logit) {
  if (top < INFINITY && top > -INFINITY) return true;
  if (threadIdx.x == 0) {
    *token = top == -INFINITY ? -1 : column;
    *logit = top;
  }
  return false;
}

__global__ void __launch_bounds__(kThreads) draw_tokens(DrawTokensParams p) {
  SharedMemory shared;
  auto* const keys = shared.array<uint64_t>(kMostCandidates);
  auto* const sorted = shared.array<uint64_t>(kMostCandidates);
  auto* const weights = shared.array<double>(kMaxBest);
  auto* const sum = shared.array<double>(1);
  auto* const kept = shared.array<int>(1);
  const int64_t row = blockIdx.x;
  const DrawnRow& how = p.rows[row];
  const float* const x = p.x.data + row * p.x.stride;
  const int32_t* const best = p.best + row * p.n_best;
  const TouchedToken* const named = p.named + row * p.n_named;
  if (!can_draw(x[best[0]], best[0], p.tokens + row, p.logits + row)) return;

  // Sorted by counting: each candidate knows how many are better.
  const int n_best = static_cast<int>(p.n_best);
  const int n = n_best + how.n_named;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    if (i >= n_best) {
      const TouchedToken& token = named[i - n_best];
      keys[i] = key_of(changed(x[token.id], token, how), token.id);
    } else {
      keys[i] = is_named(named, how.n_named, best[i]) ? kNoKey : key_of(x[best[i]], best[i]);
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    const uint64_t key = keys[i];
    if (key == kNoKey) continue;
    int n_better = 0;
    for (int j = 0; j < n; ++j) n_better += keys[j] < key ? 1 : 0;
    sorted[n_better] = key;
  }
  __syncthreads();
  const int32_t first = column_of(sorted[0]);
  const bool is_number = (sorted[0] >> 32) != 0;
  float top = is_number ? value_of(sorted[0]) : 0.0F;
  if (!is_number) {  // what the key does not tell
    for (int i = 0; i < how.n_named; ++i) {
      if (named[i].id == first) top = changed(x[first], named[i], how);
    }
  }
  if (!can_draw(top, first, p.tokens + row, p.logits + row)) return;
  const int at = how.is_greedy != 0 ? 0 : draw_from(sorted, how, weights, sum, kept);
  if (threadIdx.x != 0) return;
  p.tokens[row] = column_of(sorted[at]);
  p.logits[row] = value_of(sorted[at]);
}

}  // namespace

cudaError_t launch_draw(const DrawCall& call, Queue& queue) {
  if (call.n_best < 1 || call.n_best > kMaxBest || call.n_named < 0 || call.n_named > kMaxNamed) {
    return cudaErrorInvalidValue;
  }
  DrawTokensParams p{};
  p.x = call.x;
  p.best = call.best;
  p.n_best = call.n_best;
  p.rows = call.rows;
  p.named = call.named;
  p.n_named = call.n_named;
  p.tokens = call.tokens;
  p.logits = call.logits;
  const size_t bytes = 2 * shared_bytes<uint64_t>(kMostCandidates) +
                       shared_bytes<double>(kMaxBest) + shared_bytes<double>(1) +
                       shared_bytes<int>(1);
  return launch({static_cast<unsigned>(call.x.n), 1, 1}, kThreads, bytes, queue, draw_tokens, p);
}

}  // namespace llmrun::kernels::cuda
