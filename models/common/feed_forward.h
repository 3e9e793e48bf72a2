// Feed-forward blocks: dense, and mixtures of experts.
#pragma once

#include "models/common/tensors.h"

namespace llmrun::models {

struct DenseOptions {
  Activation activation = Activation::kSilu;
  bool gated = true;
  bool fused_up = false;  // ffn_up holds gate and up, in this order
  Presence bias = Presence::kNever;
  int64_t n_ff = 0;  // 0: feed_forward_length
};
runtime::DenseFfn dense_ffn(ModelMetadata& m, int64_t layer, const DenseOptions& options = {});

struct MoeOptions {
  int64_t n_ff = 0;  // width of one expert; 0: feed_forward_length
  RouterKind router = RouterKind::kSoftmax;
  bool normalise = true;
  float scale = 1.0F;
  Presence gate = Presence::kRequired;  // optional: experts without it are not gated
  Presence selection_bias = Presence::kNever;
  Presence biases = Presence::kNever;  // of router and experts
  Activation activation = Activation::kSilu;
  int64_t shared_ff = 0;  // width of the shared expert; 0: none
  bool shared_gate = false;
};
runtime::MoeFfn moe_ffn(ModelMetadata& m, int64_t layer, const MoeOptions& options);
// moe_ffn when the model has experts (in every layer), else dense_ffn.
runtime::Ffn dense_or_moe(ModelMetadata& m, int64_t layer, const DenseOptions& dense,
                          const MoeOptions& moe);
// expert_feed_forward_length; without it the dense width is divided among the experts used.
int64_t expert_width(ModelMetadata& m, int64_t layer);
// expert_weights_scale, of which 0 and 1 both mean none.
float expert_scale(ModelMetadata& m);
// expert_gating_func.
RouterKind router_kind(ModelMetadata& m, RouterKind fallback);

}  // namespace llmrun::models
