// ERNIE 4.5, dense and with experts in every interleave_moe_layer_step-th layer after the dense
// ones. The bias of attn_output, which some files have, is not applied.
#include "models/common.h"

namespace llmrun::models {
namespace {

FfnOf ernie_experts(ModelMetadata& m) {
  const int64_t n_dense = m.integer("leading_dense_block_count", 0, {0, runtime::kMaxLayers});
  const int64_t step = m.required_integer("interleave_moe_layer_step", {1, runtime::kMaxLayers});
  const MoeOptions experts{.own_width = true,
                           .selection_bias = Presence::kOptional,
                           .shared_ff = m.integer("expert_shared_feed_forward_length", 0, kWidths)};
  return [=, &m](int64_t i) -> runtime::Ffn {
    if (i < n_dense || (i + 1) % step != 0) return dense_ffn(m, i);
    return moe_ffn(m, i, experts);
  };
}

}  // namespace

ModelSpec build_ernie4_5(ModelMetadata& m) {
  const bool has_experts = m.architecture() == "ernie4_5-moe";
  return plain_decoder(m, rms_norm(m),
                       {.ffn = has_experts ? ernie_experts(m) : every_layer_dense(m, {})});
}

}  // namespace llmrun::models
