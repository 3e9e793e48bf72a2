// Embedding, head and the places of the norms.
#include "models/common/decoder.h"

namespace llmrun::models {

ModelSpec decoder(ModelMetadata& m, const NormStyle& final_norm, const DecoderOptions& options) {
  ModelSpec spec;
  spec.architecture = m.architecture();
  spec.name = m.name();
  spec.n_vocab = m.n_vocab();
  spec.d_model = m.d_model();
  spec.context_length = m.context_length();
  spec.embedding.table = tensor("token_embd.weight", {spec.d_model, spec.n_vocab});
  spec.head.norm = norm(final_norm, "output_norm", spec.d_model);
  spec.head.tied = options.tie == Tie::kAlways ||
                   (options.tie == Tie::kIfAbsent && !m.has_tensor("output.weight"));
  spec.head.output = linear(spec.head.tied ? "token_embd" : "output", spec.d_model, spec.n_vocab);
  spec.head.output.bias = tensor("output.bias", {spec.n_vocab}, options.output_bias);
  return spec;
}

void for_each_layer(ModelMetadata& m, ModelSpec& spec,
                    const std::function<void(int64_t, LayerSpec&)>& fill) {
  for (int64_t i = 0; i < m.n_layers() && m.ok(); ++i) fill(i, spec.layers.emplace_back());
}

void pre_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.mixer_norm = norm(style, block(layer, "attn_norm"), m.d_model());
  to.ffn_norm = norm(style, block(layer, "ffn_norm"), m.d_model());
}

void post_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.mixer_post_norm = norm(style, block(layer, "post_attention_norm"), m.d_model());
  to.ffn_post_norm = norm(style, block(layer, "post_ffw_norm"), m.d_model());
}

void parallel_norm(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.residual = runtime::Residual::kParallel;
  to.ffn_norm.reset();
  to.mixer_norm = norm(style, block(layer, "attn_norm"), m.d_model());
}

void apply_scales(ModelMetadata& m, ModelSpec& spec, const Scales& fallback) {
  const float residual = one_if_zero(m.number("residual_scale", fallback.residual));
  spec.embedding.scale = one_if_zero(m.number("embedding_scale", fallback.embedding));
  spec.head.logit_scale = 1.0F / one_if_zero(m.number("logit_scale", fallback.logit_divisor));
  for (LayerSpec& layer : spec.layers) layer.branch_scale = residual;
}

namespace {

void place_norms(ModelMetadata& m, const NormStyle& style, const PlainOptions& options,
                 int64_t layer, LayerSpec& to) {
  if (options.norms == NormPlaces::kShared) return parallel_norm(m, style, layer, to);
  if (options.norms != NormPlaces::kAfter) pre_norms(m, style, layer, to);
  if (options.norms != NormPlaces::kBefore) {
    post_norms(m, options.post_norm.value_or(style), layer, to);
  }
}

}  // namespace

ModelSpec plain_decoder(ModelMetadata& m, const NormStyle& style, const PlainOptions& options) {
  ModelSpec spec = decoder(m, style, options.whole);
  const int rope = options.with_rope ? add_rope(m, spec, options.rope) : runtime::kNoRope;
  const int window_rope = options.window_rope ? add_rope(m, spec, *options.window_rope) : rope;
  AttentionOptions attention_options = options.attention;
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    place_norms(m, style, options, i, layer);
    attention_options.window = options.windows ? options.windows->window(i) : 0;
    attention_options.rope = attention_options.window > 0 ? window_rope : rope;
    layer.mixer = attention(m, i, attention_options);
    layer.ffn = options.ffn ? options.ffn(i) : dense_ffn(m, i);
    if (options.adjust) options.adjust(i, layer);
  });
  return spec;
}

}  // namespace llmrun::models
