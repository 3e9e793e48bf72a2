// Dense feed-forwards and mixtures of experts.
#include "models/common/feed_forward.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::models {

namespace {

// A dense feed-forward whose tensors are ffn_gate<suffix>, ffn_up<suffix>, ffn_down<suffix>.
runtime::DenseFfn named_ffn(ModelMetadata& m, int64_t layer, std::string_view suffix, int64_t n_ff,
                            const DenseOptions& options) {
  const int64_t d = m.d_model();
  const auto name = [&](std::string_view part) {
    return block(layer, fmt::format("ffn_{}{}", part, suffix));
  };
  runtime::DenseFfn ffn;
  ffn.activation = options.activation;
  if (n_ff < 1) {
    m.fail(ErrorCode::kBadModel, fmt::format("the feed-forward of layer {} has no width ({}."
                                             "feed_forward_length)",
                                             layer, m.architecture()));
    n_ff = 1;
  }
  ffn.down = linear(name("down"), n_ff, d, options.bias);
  if (options.fused_up) {
    ffn.gate = part_of(name("up"), d, 2 * n_ff, 0, n_ff, options.bias);
    ffn.up = part_of(name("up"), d, 2 * n_ff, n_ff, n_ff, options.bias);
    return ffn;
  }
  if (options.gated) ffn.gate = linear(name("gate"), d, n_ff, options.bias);
  ffn.up = linear(name("up"), d, n_ff, options.bias);
  return ffn;
}

void read_groups(ModelMetadata& m, runtime::MoeFfn& ffn) {
  ffn.n_groups = std::max(int64_t{1}, m.integer("expert_group_count", 0, {0, ffn.n_experts}));
  if (ffn.n_groups == 1) return;
  ffn.n_groups_used = m.integer("expert_group_used_count", ffn.n_groups, {1, ffn.n_groups});
  const int64_t per_group = ffn.n_experts / ffn.n_groups;
  if (ffn.n_experts % ffn.n_groups != 0 || ffn.n_groups_used * per_group < ffn.n_used) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("{} experts in {} groups, of which {} are used, cannot give {} experts",
                       ffn.n_experts, ffn.n_groups, ffn.n_groups_used, ffn.n_used));
  }
}

}  // namespace

DenseOptions plain_gelu() {
  return {.activation = Activation::kGelu, .gated = false, .bias = Presence::kRequired};
}

runtime::DenseFfn dense_ffn(ModelMetadata& m, int64_t layer, const DenseOptions& options) {
  return named_ffn(m, layer, "", options.n_ff > 0 ? options.n_ff : m.n_ff(layer), options);
}

runtime::MoeFfn moe_ffn(ModelMetadata& m, int64_t layer, const MoeOptions& options) {
  const int64_t d = m.d_model();
  runtime::MoeFfn ffn;
  ffn.n_experts = std::max(int64_t{1}, m.n_experts());
  ffn.n_used = std::max(int64_t{1}, m.n_experts_used(layer));
  ffn.n_ff = options.n_ff;
  if (ffn.n_ff == 0) ffn.n_ff = options.own_width ? expert_width(m, layer) : m.n_ff(layer);
  if (m.n_experts() < 1 || ffn.n_ff < 1) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} experts of width {} ({}.expert_count, "
                       "expert_feed_forward_length); both must be positive",
                       layer, m.n_experts(), ffn.n_ff, m.architecture()));
    ffn.n_ff = 1;
  }
  const auto experts = [&](const char* name, int64_t n_in, int64_t n_out) {
    return linear(block(layer, name), n_in, n_out, options.biases, ffn.n_experts);
  };
  ffn.router = linear(block(layer, "ffn_gate_inp"), d, ffn.n_experts, options.biases);
  ffn.router_kind = options.router;
  const bool short_name = m.has_tensor(block(layer, "exp_probs_b"));  // hy_v3
  ffn.selection_bias = tensor(block(layer, short_name ? "exp_probs_b" : "exp_probs_b.bias"),
                              {ffn.n_experts}, options.selection_bias);
  read_groups(m, ffn);
  ffn.normalise = options.normalise;
  ffn.scale = options.scale;
  ffn.activation = options.activation;
  const int64_t width = options.latent > 0 ? options.latent : d;
  if (m.has_tensor(block(layer, "ffn_gate_up_exps.weight"))) {
    ffn.gate_up = experts("ffn_gate_up_exps", width, 2 * ffn.n_ff);
  } else {
    if (options.gate != Presence::kNever) ffn.gate = experts("ffn_gate_exps", width, ffn.n_ff);
    ffn.gate.weight.required = options.gate == Presence::kRequired;
    ffn.up = experts("ffn_up_exps", width, ffn.n_ff);
  }
  ffn.down = experts("ffn_down_exps", ffn.n_ff, width);
  ffn.output_scale = options.output_scale;
  const int64_t shared_ff =
      options.shared_ff > 0 ? options.shared_ff : options.shared_count * ffn.n_ff;
  if (shared_ff > 0) {
    ffn.shared = named_ffn(m, layer, "_shexp", shared_ff,
                           {.activation = options.activation,
                            .gated = options.gate != Presence::kNever,
                            .fused_up = options.shared_fused});
    if (options.shared_gate) ffn.shared_gate = linear(block(layer, "ffn_gate_inp_shexp"), d, 1);
  }
  return ffn;
}

int64_t expert_width(ModelMetadata& m, int64_t layer) {
  const auto widths = m.per_layer("expert_feed_forward_length", 0, kWidths);
  const int64_t width = widths[static_cast<size_t>(layer)];
  return width > 0 ? width : m.n_ff(layer) / std::max(int64_t{1}, m.n_experts_used(layer));
}

float expert_scale(ModelMetadata& m) { return one_if_zero(m.number("expert_weights_scale", 0.0F)); }

RouterKind router_kind(ModelMetadata& m, RouterKind fallback) {
  return static_cast<RouterKind>(
      m.integer("expert_gating_func", static_cast<int64_t>(fallback), {1, 4}));
}

RouterKind required_router(ModelMetadata& m) {
  return static_cast<RouterKind>(m.required_integer("expert_gating_func", {1, 4}));
}

MoeOptions keyed_experts(ModelMetadata& m, RouterKind router) {
  return {.own_width = true,
          .router = router,
          .normalise = m.boolean("expert_weights_norm", false),
          .scale = expert_scale(m)};
}

MoeOptions qwen_experts(ModelMetadata& m) {
  const int64_t shared = m.integer("expert_shared_feed_forward_length", 0, kWidths);
  return {.own_width = true, .shared_ff = shared > 0 ? shared : m.n_ff(0), .shared_gate = true};
}

FfnOf every_layer_dense(ModelMetadata& m, const DenseOptions& options) {
  return [&m, options](int64_t i) { return dense_ffn(m, i, options); };
}

FfnOf every_layer_moe(ModelMetadata& m, const MoeOptions& options) {
  return [&m, options](int64_t i) { return moe_ffn(m, i, options); };
}

FfnOf dense_or_experts(ModelMetadata& m, const DenseOptions& dense, const MoeOptions& experts) {
  return m.n_experts() > 0 ? every_layer_moe(m, experts) : every_layer_dense(m, dense);
}

FfnOf experts_after_dense(ModelMetadata& m, const MoeOptions& options) {
  const int64_t n_dense = m.integer("leading_dense_block_count", 0, {0, runtime::kMaxLayers});
  return [&m, options, n_dense](int64_t i) -> runtime::Ffn {
    if (i < n_dense) return dense_ffn(m, i);
    return moe_ffn(m, i, options);
  };
}

FfnOf experts_where_routed(ModelMetadata& m, const MoeOptions& options) {
  return [&m, options](int64_t i) -> runtime::Ffn {
    if (!m.has_tensor(block(i, "ffn_gate_inp.weight"))) return dense_ffn(m, i);
    return moe_ffn(m, i, options);
  };
}

}  // namespace llmrun::models
