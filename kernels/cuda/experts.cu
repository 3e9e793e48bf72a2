// Routing of a mixture of experts on the device: a warp per token, in double like the reference, so
// that the choice is the same; and the pairs of tokens and experts in the order of their experts,
// so that the host never has to look at the choice.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/limits.h"
#include "kernels/cuda/math.cuh"

namespace llmrun::kernels::cuda {
namespace {

constexpr double kLowest = -INFINITY;

__device__ __forceinline__ double warp_sum(double v) {
  for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(kAllLanes, v, bits);
  return v;
}
__device__ __forceinline__ double warp_max(double v) {
  for (int bits = 16; bits > 0; bits /= 2) v = fmax(v, __shfl_xor_sync(kAllLanes, v, bits));
  return v;
}

// The index of the best score among those not taken, for all lanes; ties go to the lower one.
__device__ __forceinline__ int best_of(const double* scores, const uint8_t* taken, int begin,
                                       int end) {
  int best = -1;
  for (int i = begin + static_cast<int>(threadIdx.x); i < end; i += 32) {
    if (taken[i] == 0 && (best < 0 || scores[i] > scores[best])) best = i;
  }
  for (int bits = 16; bits > 0; bits /= 2) {
    const int other = __shfl_xor_sync(kAllLanes, best, bits);
    if (other < 0) continue;
    // The lower one, unless the higher one is better.
    const bool better =
        best < 0 || (other < best ? !(scores[best] > scores[other]) : scores[other] > scores[best]);
    if (better) best = other;
  }
  return __shfl_sync(kAllLanes, best, 0);  // NaNs could leave lanes of different opinions
}

struct Tables {
  double* probability;
  double* score;
  double* group_score;
  double* weight;  // of the chosen
  uint8_t* taken;
  int* chosen;
};

// Probabilities by the kind of router, of n logits.
__device__ void fill_probabilities(RouterKind kind, const float* logits, int n, double* out) {
  const int lane = static_cast<int>(threadIdx.x);
  double largest = kLowest;
  for (int i = lane; i < n; i += 32) largest = fmax(largest, static_cast<double>(logits[i]));
  largest = warp_max(largest);
  double sum = 0;
  for (int i = lane; i < n; i += 32) {
    const auto x = static_cast<double>(logits[i]);
    double value = x;  // kSoftmaxAfterTopK: experts compete by their logits
    if (kind == RouterKind::kSoftmax) value = exp(x - largest);
    if (kind == RouterKind::kSigmoid) value = 1.0 / (1.0 + exp(-x));
    if (kind == RouterKind::kSqrtSoftplus) value = sqrt(fmax(x, 0.0) + log1p(exp(-fabs(x))));
    out[i] = value;
    sum += value;
  }
  sum = warp_sum(sum);
  if (kind != RouterKind::kSoftmax) return;
  for (int i = lane; i < n; i += 32) out[i] /= sum;
}

// Experts outside the best groups get the lowest score. A group's score is that of its best two.
__device__ void keep_best_groups(const RouteParams& p, const Tables& tables, int n) {
  const int lane = static_cast<int>(threadIdx.x);
  const auto n_groups = static_cast<int>(p.n_groups);
  const int size = n / n_groups;
  for (int g = 0; g < n_groups; ++g) {
    double sum = 0;
    int used[2] = {-1, -1};
    for (int k = 0; k < min(2, size); ++k) {
      used[k] = best_of(tables.score, tables.taken, g * size, (g + 1) * size);
      sum += tables.score[used[k]];
      __syncwarp();
      if (lane == 0) tables.taken[used[k]] = 1;
      __syncwarp();
    }
    if (lane == 0) {
      tables.group_score[g] = sum;
      for (const int i : used) {
        if (i >= 0) tables.taken[i] = 0;
      }
    }
    __syncwarp();
  }
  // `taken` of groups lies behind that of experts.
  uint8_t* const kept = tables.taken + n;
  for (int k = 0; k < static_cast<int>(p.n_groups_used); ++k) {
    const int g = best_of(tables.group_score, kept, 0, n_groups);
    __syncwarp();
    if (lane == 0) kept[g] = 1;
    __syncwarp();
  }
  for (int i = lane; i < n_groups * size; i += 32) {
    if (kept[i / size] == 0) tables.score[i] = kLowest;
  }
  __syncwarp();
}

// The weights of the chosen, by lane 0.
__device__ void write_choice(const RouteParams& p, const Tables& tables, int64_t t) {
  const auto n_used = static_cast<int>(p.n_used);
  double* const weight = tables.weight;
  for (int j = 0; j < n_used; ++j) {
    tables.chosen[j] /= static_cast<int>(p.experts_per_chunk);
    weight[j] = tables.probability[tables.chosen[j]];
  }
  if (p.kind == RouterKind::kSoftmaxAfterTopK) {
    double largest = kLowest;
    double sum = 0;
    for (int j = 0; j < n_used; ++j) largest = fmax(largest, weight[j]);
    for (int j = 0; j < n_used; ++j) sum += weight[j] = exp(weight[j] - largest);
    for (int j = 0; j < n_used; ++j) weight[j] /= sum;
  }
  double divisor = 1.0;
  if (p.normalise) {
    divisor = 0;
    for (int j = 0; j < n_used; ++j) divisor += weight[j];
    divisor = fmax(divisor, 0x1p-14);
  }
  for (int j = 0; j < n_used; ++j) {
    p.experts[t * p.n_used + j] = tables.chosen[j];
    p.weights[t * p.n_used + j] =
        static_cast<float>(weight[j] / divisor * static_cast<double>(p.scale));
  }
}

__global__ void __launch_bounds__(32) route(RouteParams p) {
  const int64_t t = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const auto n = static_cast<int>(p.logits.width);
  SharedMemory shared;
  Tables tables{};
  tables.probability = shared.array<double>(static_cast<size_t>(n));
  tables.score = shared.array<double>(static_cast<size_t>(n));
  tables.group_score = shared.array<double>(static_cast<size_t>(p.n_groups));
  tables.weight = shared.array<double>(static_cast<size_t>(p.n_used));
  tables.taken = shared.array<uint8_t>(static_cast<size_t>(n + p.n_groups));
  tables.chosen = shared.array<int>(static_cast<size_t>(p.n_used));
  const float* const logits = p.logits.data + t * p.logits.stride;
  fill_probabilities(p.kind, logits, n, tables.probability);
  for (int i = lane; i < n; i += 32) {
    double score = p.select_by_logit ? static_cast<double>(logits[i]) : tables.probability[i];
    if (p.selection_bias != nullptr) score += static_cast<double>(p.selection_bias[i]);
    tables.score[i] = score;
  }
  for (int i = lane; i < n + static_cast<int>(p.n_groups); i += 32) tables.taken[i] = 0;
  __syncwarp();
  if (p.n_groups > 1) keep_best_groups(p, tables, n);
  for (int j = 0; j < static_cast<int>(p.n_used); ++j) {
    const int best = best_of(tables.score, tables.taken, 0, n);
    __syncwarp();
    if (lane == 0) {
      tables.taken[best] = 1;
      tables.chosen[j] = best;
    }
    __syncwarp();
  }
  if (lane == 0) write_choice(p, tables, t);
}

// ---- the order of the pairs: one block, a thread per expert ------------------------------------

// From the number of pairs of each expert to where they begin in the lists, by one warp; makes the
// jobs.
__device__ void lay_out_jobs(const GroupPairsParams& p, int32_t* counts, int32_t* pairs_of_lane,
                             int32_t* jobs_of_lane) {
  const int lane = static_cast<int>(threadIdx.x);
  const int each = (p.n_experts + 31) / 32;
  const int begin = min(lane * each, p.n_experts);
  const int end = min(begin + each, p.n_experts);
  int32_t n_pairs = 0;
  int32_t n_jobs = 0;
  for (int e = begin; e < end; ++e) {
    n_pairs += counts[e];
    n_jobs += counts[e] > 0 ? 1 : 0;
  }
  pairs_of_lane[lane] = n_pairs;
  jobs_of_lane[lane] = n_jobs;
  __syncwarp();
  int32_t first = 0;
  int32_t job = 0;
  for (int i = 0; i < lane; ++i) {
    first += pairs_of_lane[i];
    job += jobs_of_lane[i];
  }
  for (int e = begin; e < end; ++e) {
    const int32_t count = counts[e];
    counts[e] = first;
    if (count > 0) p.jobs[job++] = {e, first, count};
    first += count;
  }
}

__global__ void __launch_bounds__(kThreads) group_pairs(GroupPairsParams p) {
  SharedMemory shared;
  int32_t* const counts = shared.array<int32_t>(static_cast<size_t>(p.n_experts));
  int32_t* const pairs_of_lane = shared.array<int32_t>(32);
  int32_t* const jobs_of_lane = shared.array<int32_t>(32);
  for (int i = static_cast<int>(threadIdx.x); i < p.n_jobs; i += kThreads) p.jobs[i] = {0, 0, 0};
  for (int e = static_cast<int>(threadIdx.x); e < p.n_experts; e += kThreads) {
    int32_t count = 0;
    for (int64_t i = 0; i < p.n_pairs; ++i) count += p.experts[i] == e ? 1 : 0;
    counts[e] = count;
  }
  __syncthreads();
  if (threadIdx.x < 32) lay_out_jobs(p, counts, pairs_of_lane, jobs_of_lane);
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < p.n_experts; e += kThreads) {
    int32_t at = counts[e];
    for (int64_t i = 0; i < p.n_pairs; ++i) {
      if (p.experts[i] != e) continue;
      p.x_rows[at] = static_cast<int32_t>(i / p.pairs_per_row);
      p.y_rows[at++] = static_cast<int32_t>(i);
    }
  }
}

__global__ void __launch_bounds__(kThreads) combine_experts(CombineExpertsParams p) {
  const int64_t index = thread_index();
  if (index >= p.y.n * p.y.width) return;
  const int64_t t = index / p.y.width;
  const int64_t i = index % p.y.width;
  float& y = p.y.data[t * p.y.stride + i];
  float sum = p.accumulate ? y : 0.0F;
  for (int64_t j = 0; j < p.n_used; ++j) {
    const int64_t row = t * p.n_used + j;
    sum = fmaf(p.weights == nullptr ? 1.0F : p.weights[row], p.x.data[row * p.x.stride + i], sum);
  }
  y = sum;
}

}  // namespace

cudaError_t launch_route(const RouteParams& p, Queue& queue) {
  const int64_t n = p.logits.width;
  if (n < 1 || n > kMaxExperts || p.n_used < 1 || p.n_used > n || p.n_groups < 1 ||
      p.n_groups > n || p.n_groups_used > p.n_groups || p.experts_per_chunk < 1) {
    return cudaErrorInvalidValue;
  }
  const auto experts = static_cast<size_t>(n);
  const auto groups = static_cast<size_t>(p.n_groups);
  const auto used = static_cast<size_t>(p.n_used);
  const size_t shared = 2 * shared_bytes<double>(experts) + shared_bytes<double>(groups) +
                        shared_bytes<double>(used) + shared_bytes<uint8_t>(experts + groups) +
                        shared_bytes<int>(used);
  return launch({static_cast<unsigned>(p.logits.n), 1, 1}, 32, shared, queue, route, p);
}

cudaError_t launch_group_pairs(const GroupPairsParams& p, Queue& queue) {
  if (p.n_experts < 1 || p.n_experts > kMaxExperts || p.n_pairs > 0x7fffffff ||
      p.pairs_per_row < 1) {
    return cudaErrorInvalidValue;
  }
  const size_t shared =
      shared_bytes<int32_t>(static_cast<size_t>(p.n_experts)) + 2 * shared_bytes<int32_t>(32);
  return launch({1, 1, 1}, kThreads, shared, queue, group_pairs, p);
}

cudaError_t launch_combine_experts(const CombineExpertsParams& p, Queue& queue) {
  const unsigned blocks = blocks_for(p.y.n * p.y.width);
  if (blocks == 0 && p.y.n > 0) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, combine_experts, p);
}

}  // namespace llmrun::kernels::cuda
