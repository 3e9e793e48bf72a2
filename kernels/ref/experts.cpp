// Reference routing of a mixture of experts.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/ref.h"

namespace llmrun::kernels::ref {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

std::vector<double> softmax(const std::vector<double>& logits) {
  double highest = kLowest;
  for (const double logit : logits) highest = std::max(highest, logit);
  std::vector<double> result(logits.size());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) sum += result[i] = std::exp(logits[i] - highest);
  for (double& value : result) value /= sum;
  return result;
}

std::vector<double> probabilities(RouterKind kind, const std::vector<double>& logits) {
  if (kind == RouterKind::kSoftmax) return softmax(logits);
  std::vector<double> result = logits;  // kSoftmaxAfterTopK: experts compete by their logits
  for (double& value : result) {
    if (kind == RouterKind::kSigmoid) value = activate(Activation::kSigmoid, value);
    if (kind == RouterKind::kSqrtSoftplus)
      value = std::sqrt(activate(Activation::kSoftplus, value));
  }
  return result;
}

// The indices of the `count` best scores, best first; ties, and scores that are not numbers, go to
// the lower index. Always `count` different indices.
std::vector<size_t> best(const std::vector<double>& scores, size_t count) {
  std::vector<size_t> chosen;
  std::vector<bool> taken(scores.size(), false);
  while (chosen.size() < count) {
    size_t candidate = scores.size();
    for (size_t i = 0; i < scores.size(); ++i) {
      if (taken[i]) continue;
      if (candidate == scores.size() || scores[i] > scores[candidate]) candidate = i;
    }
    taken[candidate] = true;
    chosen.push_back(candidate);
  }
  return chosen;
}

// Experts outside the best groups get the lowest score.
void keep_best_groups(const RouteParams& params, std::vector<double>& scores) {
  const auto n_groups = static_cast<size_t>(params.n_groups);
  const size_t size = scores.size() / n_groups;
  std::vector<double> group_scores(n_groups);
  for (size_t g = 0; g < n_groups; ++g) {
    const auto first = scores.begin() + static_cast<std::ptrdiff_t>(g * size);
    const std::vector<double> members(first, first + static_cast<std::ptrdiff_t>(size));
    for (const size_t i : best(members, std::min<size_t>(2, size))) group_scores[g] += members[i];
  }
  std::vector<bool> kept(n_groups, false);
  for (const size_t g : best(group_scores, static_cast<size_t>(params.n_groups_used))) {
    kept[g] = true;
  }
  for (size_t i = 0; i < n_groups * size; ++i) {
    if (!kept[i / size]) scores[i] = kLowest;
  }
}

void route_token(const RouteParams& params, int64_t t) {
  const float* row = params.logits.data + t * params.logits.stride;
  const std::vector<double> logits(row, row + params.logits.width);
  const std::vector<double> probability = probabilities(params.kind, logits);
  std::vector<double> scores = params.select_by_logit ? logits : probability;
  if (params.selection_bias != nullptr) {
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] += static_cast<double>(params.selection_bias[i]);
    }
  }
  if (params.n_groups > 1) keep_best_groups(params, scores);
  std::vector<size_t> chosen = best(scores, static_cast<size_t>(params.n_used));
  for (size_t& expert : chosen) expert /= static_cast<size_t>(params.experts_per_chunk);

  std::vector<double> weights;
  for (const size_t expert : chosen) weights.push_back(probability[expert]);
  if (params.kind == RouterKind::kSoftmaxAfterTopK) weights = softmax(weights);
  double divisor = 1.0;
  if (params.normalise) {
    divisor = 0;
    for (const double weight : weights) divisor += weight;
    divisor = std::max(divisor, 0x1p-14);
  }
  for (size_t j = 0; j < chosen.size(); ++j) {
    const int64_t at = t * params.n_used + static_cast<int64_t>(j);
    params.experts[at] = static_cast<int32_t>(chosen[j]);
    params.weights[at] =
        static_cast<float>(weights[j] / divisor * static_cast<double>(params.scale));
  }
}

}  // namespace

void route(const RouteParams& params) {
  for (int64_t t = 0; t < params.logits.n; ++t) route_token(params, t);
}

void combine_experts(const CombineExpertsParams& params) {
  for (int64_t t = 0; t < params.y.n; ++t) {
    for (int64_t i = 0; i < params.y.width; ++i) {
      float& y = params.y.data[t * params.y.stride + i];
      double sum = params.accumulate ? static_cast<double>(y) : 0.0;
      for (int64_t j = 0; j < params.n_used; ++j) {
        const int64_t row = t * params.n_used + j;
        const float weight = params.weights == nullptr ? 1.0F : params.weights[row];
        sum += static_cast<double>(weight) *
               static_cast<double>(params.x.data[row * params.x.stride + i]);
      }
      y = static_cast<float>(sum);
    }
  }
}

}  // namespace llmrun::kernels::ref
