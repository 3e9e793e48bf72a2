// Feed-forward blocks: dense, and mixtures of experts.
#pragma once

#include <functional>

#include "models/common/tensors.h"

namespace llmrun::models {

struct DenseOptions {
  Activation activation = Activation::kSilu;
  bool gated = true;
  bool fused_up = false;  // ffn_up holds gate and up, in this order
  Presence bias = Presence::kNever;
  int64_t n_ff = 0;  // 0: feed_forward_length
};
// The older form: GELU without a gate, with biases.
DenseOptions plain_gelu();
runtime::DenseFfn dense_ffn(ModelMetadata& m, int64_t layer, const DenseOptions& options = {});

struct MoeOptions {
  int64_t n_ff = 0;        // width of one expert; 0: feed_forward_length
  bool own_width = false;  // expert_width() instead of feed_forward_length
  RouterKind router = RouterKind::kSoftmax;
  bool normalise = true;
  float scale = 1.0F;
  Presence gate = Presence::kRequired;  // experts without it are not gated
  Presence selection_bias = Presence::kNever;
  Presence biases = Presence::kNever;  // of router and experts
  Activation activation = Activation::kSilu;
  int64_t shared_ff = 0;      // width of the shared expert
  int64_t shared_count = 0;   // without shared_ff: it is as wide as so many routed ones
  bool shared_fused = false;  // its ffn_up holds gate and up
  bool shared_gate = false;
  float output_scale = 1.0F;  // of the sum of routed and shared experts
  int64_t latent = 0;         // width of what the experts read and give; 0: d_model
};
runtime::MoeFfn moe_ffn(ModelMetadata& m, int64_t layer, const MoeOptions& options);
// expert_feed_forward_length; without it the dense width is divided among the experts used.
int64_t expert_width(ModelMetadata& m, int64_t layer);
// expert_weights_scale, of which 0 and 1 both mean none.
float expert_scale(ModelMetadata& m);
// expert_gating_func.
RouterKind router_kind(ModelMetadata& m, RouterKind fallback);

// expert_gating_func, which must be there.
RouterKind required_router(ModelMetadata& m);

// What the mixtures since DeepSeek V2 have keys for: expert_feed_forward_length,
// expert_weights_norm, expert_weights_scale.
MoeOptions keyed_experts(ModelMetadata& m, RouterKind router);

// Those of the Qwen models: a shared expert behind a sigmoid, as wide as the dense feed-forward
// unless expert_shared_feed_forward_length says otherwise.
MoeOptions qwen_experts(ModelMetadata& m);

// ---- the feed-forward of each layer of a model -------------------------------------------------

using FfnOf = std::function<runtime::Ffn(int64_t layer)>;
FfnOf every_layer_dense(ModelMetadata& m, const DenseOptions& options);
FfnOf every_layer_moe(ModelMetadata& m, const MoeOptions& options);
// Experts in every layer when the model has any, else dense.
FfnOf dense_or_experts(ModelMetadata& m, const DenseOptions& dense, const MoeOptions& experts);
// Dense below leading_dense_block_count.
FfnOf experts_after_dense(ModelMetadata& m, const MoeOptions& options);
// Dense where the file has no router.
FfnOf experts_where_routed(ModelMetadata& m, const MoeOptions& options);

}  // namespace llmrun::models
