// MiniMax-01: lightning attention, softmax attention in every eighth layer, experts; what is
// skipped is the normed value.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {
namespace {

runtime::LightningAttention lightning(ModelMetadata& m, int64_t layer, const NormStyle& style) {
  const int64_t d = m.d_model();
  runtime::LightningAttention mixer;
  mixer.n_heads = std::max(int64_t{1}, m.n_heads(layer));
  mixer.head_dim = m.k_dim();
  const int64_t n = mixer.n_heads * mixer.head_dim;
  mixer.qkv = {linear(block(layer, "attn_qkv"), d, 3 * n), mixer.n_heads};
  const auto depth = static_cast<float>(layer);
  const auto last = static_cast<float>(std::max(int64_t{1}, m.n_layers() - 1));
  mixer.slope_scale = 1.0F - depth / last + 1e-5F;
  mixer.norm = norm(style, block(layer, "attn_norm_2"), n);
  mixer.gate = runtime::OutputGate{.linear = linear(block(layer, "attn_gate"), d, n)};
  mixer.out = linear(block(layer, "attn_output"), n, d);
  return mixer;
}

}  // namespace

ModelSpec build_minimax_01(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  const float skip_scale = m.required_number("residual_scale");
  const std::vector<bool> recurrent = recurrent_layers(m, 8);
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.residual = runtime::Residual::kNormed;
    layer.skip_scale = skip_scale;
    if (recurrent[static_cast<size_t>(i)]) {
      layer.mixer = lightning(m, i, style);
    } else {
      layer.mixer = attention(m, i, {.rope = rope});
    }
    layer.ffn = moe_ffn(m, i, {});
  });
  return spec;
}

}  // namespace llmrun::models
