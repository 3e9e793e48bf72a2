// Declarations of norms.
#include "models/common/norms.h"

namespace llmrun::models {

NormStyle rms_norm(ModelMetadata& m) {
  return {.kind = runtime::NormKind::kRms,
          .eps = m.required_number("attention.layer_norm_rms_epsilon")};
}

NormStyle layer_norm(ModelMetadata& m, Presence bias) {
  return {.kind = runtime::NormKind::kLayer,
          .eps = m.required_number("attention.layer_norm_epsilon"),
          .bias = bias};
}

Norm norm(const NormStyle& style, const std::string& name, int64_t width) {
  return head_norm(style, name, 1, width);
}

Norm weightless_norm(NormStyle style, int64_t width) {
  style.weight = Presence::kNever;
  return norm(style, "", width);
}

Norm head_norm(const NormStyle& style, const std::string& name, int64_t n_heads, int64_t head_dim,
               bool per_head_weights) {
  Norm norm;
  norm.kind = style.kind;
  norm.group = head_dim;
  norm.weight_size = head_dim;
  norm.eps = style.eps;
  std::vector<int64_t> shape{head_dim};
  if (per_head_weights) {
    shape.push_back(n_heads);
    norm.weight_size = n_heads * head_dim;
  }
  norm.weight = tensor(fmt::format("{}{}", name, style.suffix), shape, style.weight);
  norm.bias = tensor(name + ".bias", shape, style.bias);
  return norm;
}

}  // namespace llmrun::models
