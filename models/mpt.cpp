// MPT: linear biases or learned positions or both, layer norms, clamped queries, keys and values.
// Biases are there or not everywhere; the divisors of the hidden values come from AWQ.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_mpt(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kOptional);
  const bool normed = m.has_tensor("blk.0.attn_q_norm.weight");
  ModelSpec spec = plain_decoder(
      m, style,
      {.with_rope = false,
       .attention = {.out_bias = Presence::kOptional,
                     .clamp_qkv = m.number("attention.clamp_kqv", 0.0F),
                     .alibi_max_bias = m.number("attention.max_alibi_bias", 0.0F)},
       .adjust = [&](int64_t i, LayerSpec& layer) {
         auto& mixer = std::get<runtime::Attention>(layer.mixer);
         if (normed) {
           mixer.q_norm = norm(style, block(i, "attn_q_norm"), mixer.n_heads * mixer.k_dim);
           mixer.k_norm = norm(style, block(i, "attn_k_norm"), mixer.n_kv_heads * mixer.k_dim);
         }
         runtime::DenseFfn ffn = dense_ffn(
             m, i, {.activation = Activation::kGelu, .gated = false, .bias = Presence::kOptional});
         ffn.hidden_divisors =
             tensor(block(i, "ffn.act.scales"), {ffn.up.n_out}, Presence::kOptional);
         layer.ffn = std::move(ffn);
       }});
  if (m.has_tensor("position_embd.weight")) learned_positions(m, spec);
  return spec;
}

}  // namespace llmrun::models
