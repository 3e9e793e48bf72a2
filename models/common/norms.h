// Norms of blocks, rows and heads.
#pragma once

#include "models/common/tensors.h"

namespace llmrun::models {

struct NormStyle {
  runtime::NormKind kind = runtime::NormKind::kRms;
  float eps = 0.0F;
  Presence bias = Presence::kNever;
  Presence weight = Presence::kRequired;
  std::string_view suffix = ".weight";  // of the weight's name; plamo3 has some without
};
// eps comes from attention.layer_norm_rms_epsilon or attention.layer_norm_epsilon, which must be
// there.
NormStyle rms_norm(ModelMetadata& m);
NormStyle layer_norm(ModelMetadata& m, Presence bias);
// Of rows of `width` values.
Norm norm(const NormStyle& style, const std::string& name, int64_t width);
// Of groups of `width` values, without weights.
Norm weightless_norm(NormStyle style, int64_t width);
// Of each head, with weights shared by all heads or (per_head_weights) each its own.
Norm head_norm(const NormStyle& style, const std::string& name, int64_t n_heads, int64_t head_dim,
               bool per_head_weights = false);

}  // namespace llmrun::models
