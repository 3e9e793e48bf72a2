// Kimi K3: Kimi Linear with attention over checkpoints of the residual stream, experts in a latent
// space and an activation of its own.
#include <algorithm>

#include "models/common.h"

namespace llmrun::models {
namespace {

runtime::GateForm gate_form(ModelMetadata& m) {
  runtime::GateForm form;
  form.gate_cap = m.required_number("activation.situ_beta");
  form.up_cap = std::max(0.0F, m.required_number("activation.situ_linear_beta"));
  if (form.gate_cap <= 0.0F) {
    m.fail(ErrorCode::kBadModel, "kimi-k3.activation.situ_beta must be positive");
  }
  return form;
}

runtime::MoeFfn latent_experts(ModelMetadata& m, int64_t layer, const MoeOptions& options) {
  runtime::MoeFfn ffn = moe_ffn(m, layer, options);
  if (options.latent == 0) return ffn;
  ffn.latent_down = linear(block(layer, "ffn_routed_down"), m.d_model(), options.latent);
  ffn.latent_up = linear(block(layer, "ffn_routed_up"), options.latent, m.d_model());
  if (m.has_tensor(block(layer, "ffn_routed_norm.weight"))) {
    ffn.latent_norm = norm(rms_norm(m), block(layer, "ffn_routed_norm"), options.latent);
  }
  return ffn;
}

runtime::LatentAttention gated_latent_attention(ModelMetadata& m, int64_t layer) {
  runtime::LatentAttention mixer = latent_attention(m, layer, {});
  if (m.has_tensor(block(layer, "attn_gate.weight"))) {
    const int64_t width = mixer.n_heads * mixer.v_dim;
    mixer.gate = {.linear = linear(block(layer, "attn_gate"), m.d_model(), width)};
  }
  return mixer;
}

}  // namespace

ModelSpec build_kimi_k3(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style, {.tie = Tie::kNever});
  const auto score = [&](const std::string& name) { return linear(name, m.d_model(), 1); };
  spec.bank.period = m.required_integer("attn_res.block_size", {0, runtime::kMaxLayers});
  spec.bank.eps = style.eps;
  if (spec.bank.period > 0) spec.bank.output_score = score("output_res_score");
  const runtime::GateForm form = gate_form(m);
  const KimiDeltaOptions delta{.decay_bound = m.number("kda.gate_lower_bound", 0.0F),
                               .a_sign = -1.0F};
  MoeOptions experts = keyed_experts(m, required_router(m));
  experts.selection_bias = Presence::kRequired;
  experts.shared_count = std::max(int64_t{1}, m.integer("expert_shared_count", 1, kExpertCounts));
  experts.latent = m.integer("expert_latent_length", 0, kWidths);
  const int64_t n_dense = m.integer("leading_dense_block_count", 0, {0, runtime::kMaxLayers});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    if (spec.bank.period > 0) {
      layer.mixer_score = score(block(i, "attn_res_score"));
      layer.ffn_score = score(block(i, "ffn_res_score"));
    }
    if (is_recurrent(m, i)) {
      layer.mixer = kimi_delta(m, i, delta);
    } else {
      layer.mixer = gated_latent_attention(m, i);
    }
    if (i < n_dense) {
      runtime::DenseFfn ffn = dense_ffn(m, i);
      ffn.form = form;
      layer.ffn = ffn;
    } else {
      runtime::MoeFfn ffn = latent_experts(m, i, experts);
      ffn.form = ffn.shared->form = form;
      layer.ffn = ffn;
    }
  });
  return spec;
}

}  // namespace llmrun::models
