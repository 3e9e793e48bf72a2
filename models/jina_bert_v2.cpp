// Jina BERT v2: linear position biases to both sides, GEGLU whose gate may be a part of ffn_up,
// and in the code models queries and keys normalised as whole rows.
#include "models/common/encoder.h"

namespace llmrun::models {
namespace {

void add_qk_norm(ModelMetadata& m, const NormStyle& style, int64_t i, runtime::Attention& mixer) {
  if (!m.has_tensor(block(i, "attn_q_norm.weight"))) return;
  mixer.q_norm = norm(style, block(i, "attn_q_norm"), mixer.n_heads * mixer.k_dim);
  mixer.k_norm = norm(style, block(i, "attn_k_norm"), mixer.n_kv_heads * mixer.k_dim);
}

}  // namespace

ModelSpec build_jina_bert_v2(ModelMetadata& m) {
  const NormStyle style = layer_norm(m, Presence::kRequired);
  ModelSpec spec = encoder(m, style);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    if (m.has_tensor(block(i, "attn_norm_2.weight"))) {
      m.fail(ErrorCode::kUnsupported,
             "the layers of this model have a second attention norm (attn_norm_2), which this "
             "build cannot run");
    }
    norms_of_sums(m, style, i, layer);
    runtime::Attention mixer = attention(m, i, {.out_bias = Presence::kOptional});
    mixer.alibi_max_bias = 8.0F;
    add_qk_norm(m, style, i, mixer);
    layer.mixer = std::move(mixer);
    runtime::DenseFfn ffn = dense_ffn(m, i,
                                      {.activation = Activation::kGeluErf,
                                       .fused_up = !m.has_tensor(block(i, "ffn_gate.weight")),
                                       .bias = Presence::kOptional});
    ffn.gate.bias = {};
    ffn.up.bias = {};
    layer.ffn = std::move(ffn);
  });
  return spec;
}

}  // namespace llmrun::models
