// The limits of kernels/cuda, against what a layer asks for.
#include "runtime/device_forms.h"

#include <fmt/format.h>

#include "kernels/cuda/limits.h"

namespace llmrun::runtime {

using kernels::cuda::kMaxExperts;
using kernels::cuda::kMaxKeyDim;

std::string missing_device_form(const LayerSpec& layer) {
  const int64_t k_dim = kv_shape(layer).k_dim;
  if (k_dim > kMaxKeyDim) {
    return fmt::format("attention with keys of {} values, of which a GPU takes {}", k_dim,
                       kMaxKeyDim);
  }
  for (const Ffn* ffn : {&layer.ffn, &layer.side_ffn}) {
    const auto* const moe = std::get_if<MoeFfn>(ffn);
    if (moe == nullptr || moe->n_experts <= kMaxExperts) continue;
    return fmt::format("a choice among {} experts, of which a GPU takes {}", moe->n_experts,
                       kMaxExperts);
  }
  return "";
}

std::vector<std::string> missing_device_forms(const ModelSpec& spec) {
  std::vector<std::string> missing;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string what = missing_device_form(spec.layers[i]);
    if (!what.empty()) missing.push_back(fmt::format("layer {}: {}", i, what));
  }
  return missing;
}

}  // namespace llmrun::runtime
