// Attention with grouped queries, its projections wherever the file has them.
#include "models/common/attention.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmrun::models {

using runtime::Linear;
using runtime::TensorDecl;

namespace {

// q, k and v as three Linears, wherever their rows lie.
void declare_qkv(ModelMetadata& m, int64_t layer, Presence bias, runtime::Attention& mixer) {
  const int64_t d = m.d_model();
  const int64_t n_q = mixer.n_heads * mixer.k_dim;
  const int64_t n_k = mixer.n_kv_heads * mixer.k_dim;
  const int64_t n_v = mixer.n_kv_heads * mixer.v_dim;
  const std::string fused = block(layer, "attn_qkv");
  mixer.q = linear(block(layer, "attn_q"), d, n_q, bias);
  mixer.k = linear(block(layer, "attn_k"), d, n_k, bias);
  mixer.v = linear(block(layer, "attn_v"), d, n_v, bias);
  if (!m.has_tensor(fused + ".weight")) return;
  const int64_t n_all = n_q + n_k + n_v;
  const bool split_biases = !m.has_tensor(fused + ".bias");
  int64_t first = 0;
  for (Linear* part : {&mixer.q, &mixer.k, &mixer.v}) {
    TensorDecl own_bias = std::move(part->bias);
    *part = part_of(fused, d, n_all, first, part->n_out, bias);
    if (split_biases) part->bias = std::move(own_bias);
    first += part->n_out;
  }
}

void declare_qk_norm(ModelMetadata& m, int64_t layer, QkNorm kind, runtime::Attention& mixer) {
  if (kind == QkNorm::kNone) return;
  if (kind == QkNorm::kOwnLayer) {
    const NormStyle style = layer_norm(m, Presence::kNever);
    mixer.q_norm = head_norm(style, block(layer, "attn_q_norm"), mixer.n_heads, mixer.k_dim, true);
    mixer.k_norm =
        head_norm(style, block(layer, "attn_k_norm"), mixer.n_kv_heads, mixer.k_dim, true);
    return;
  }
  const NormStyle style = rms_norm(m);
  const bool row = kind == QkNorm::kRow;
  mixer.q_norm =
      norm(style, block(layer, "attn_q_norm"), row ? mixer.n_heads * mixer.k_dim : mixer.k_dim);
  mixer.k_norm =
      norm(style, block(layer, "attn_k_norm"), row ? mixer.n_kv_heads * mixer.k_dim : mixer.k_dim);
  mixer.qk_norm_after_rope = kind == QkNorm::kHeadAfterRope;
}

runtime::OutputGate output_gate(ModelMetadata& m, int64_t layer, Activation activation,
                                const runtime::Attention& mixer) {
  const std::string name = block(layer, "attn_gate");
  const bool per_head = m.tensor_dim(name + ".weight", 1) == mixer.n_heads;
  const int64_t width = per_head ? mixer.n_heads : mixer.n_heads * mixer.v_dim;
  return {.linear = linear(name, m.d_model(), width), .activation = activation};
}

}  // namespace

runtime::Attention attention(ModelMetadata& m, int64_t layer, const AttentionOptions& options) {
  runtime::Attention mixer;
  mixer.n_heads = m.n_heads(layer);
  mixer.n_kv_heads = m.n_kv_heads(layer);
  if (mixer.n_heads < 1 || mixer.n_kv_heads < 1) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} query heads and {} key heads ({}.attention.head_count, "
                       "head_count_kv); each needs at least one",
                       layer, mixer.n_heads, mixer.n_kv_heads, m.architecture()));
    mixer.n_heads = mixer.n_kv_heads = 1;
  }
  mixer.k_dim = options.head_dim > 0 ? options.head_dim : m.k_dim();
  mixer.v_dim = options.head_dim > 0 ? options.head_dim : m.v_dim();
  declare_qkv(m, layer, options.bias, mixer);
  declare_qk_norm(m, layer, options.qk_norm, mixer);
  mixer.out = linear(block(layer, "attn_output"), mixer.n_heads * mixer.v_dim, m.d_model(),
                     options.out_bias);
  mixer.rope = options.rope;
  mixer.scale =
      options.scale != 0.0F ? options.scale : 1.0F / std::sqrt(static_cast<float>(mixer.k_dim));
  mixer.soft_cap = options.soft_cap;
  mixer.window = options.window;
  mixer.clamp_qkv = options.clamp_qkv;
  mixer.temperature = options.temperature;
  mixer.alibi_max_bias = options.alibi_max_bias;
  mixer.sinks = tensor(block(layer, "attn_sinks.weight"), {mixer.n_heads}, options.sinks);
  if (options.gate) mixer.gate = output_gate(m, layer, *options.gate, mixer);
  return mixer;
}

float scale_by_width(ModelMetadata& m, int64_t layer) {
  const int64_t n_heads = std::max(int64_t{1}, m.n_heads(layer));
  return 1.0F / std::sqrt(static_cast<float>(m.d_model() / n_heads));
}

}  // namespace llmrun::models
