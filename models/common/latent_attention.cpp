// Multi-head latent attention in both of its layouts.
#include <cmath>

#include "base/error.h"
#include "models/common/attention.h"

namespace llmrun::models {

using runtime::Range;

runtime::LatentAttention latent_attention(ModelMetadata& m, int64_t layer,
                                          const LatentOptions& options) {
  const Range head_dims{1, runtime::kMaxHeadDim};
  const bool absorbed = m.has("attention.key_length_mla");
  const int64_t k_dim =
      absorbed ? m.required_integer("attention.key_length_mla", head_dims) : m.k_dim();
  const int64_t d = m.d_model();
  runtime::LatentAttention mixer;
  mixer.n_heads = m.n_heads(layer);
  mixer.v_dim = absorbed ? m.required_integer("attention.value_length_mla", head_dims) : m.v_dim();
  mixer.kv_rank = m.required_integer("attention.kv_lora_rank", {1, runtime::kMaxWidth});
  mixer.rope_dim = m.rope_dims();
  mixer.nope_dim = k_dim - mixer.rope_dim;
  if (mixer.n_heads < 1 || mixer.nope_dim < (absorbed ? 1 : 0) || mixer.rope_dim < 1) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} heads whose keys have {} dims, {} of them rotated; that "
                       "is no latent attention",
                       layer, mixer.n_heads, k_dim, mixer.rope_dim));
    mixer.n_heads = mixer.nope_dim = mixer.rope_dim = 1;
  }
  const NormStyle style = rms_norm(m);
  const int64_t q_width = mixer.n_heads * (mixer.nope_dim + mixer.rope_dim);
  if (m.has_tensor(block(layer, "attn_q_a.weight"))) {
    const int64_t rank = m.required_integer("attention.q_lora_rank", {1, runtime::kMaxWidth});
    mixer.q_a = linear(block(layer, "attn_q_a"), d, rank);
    mixer.q_a_norm = norm(style, block(layer, "attn_q_a_norm"), rank);
    mixer.q_b = linear(block(layer, "attn_q_b"), rank, q_width);
  } else {
    mixer.q = linear(block(layer, "attn_q"), d, q_width);
  }
  mixer.kv_a = linear(block(layer, "attn_kv_a_mqa"), d, mixer.kv_rank + mixer.rope_dim);
  mixer.kv_a_norm = norm(style, block(layer, "attn_kv_a_norm"), mixer.kv_rank);
  if (absorbed) {
    mixer.k_b = linear(block(layer, "attn_k_b"), mixer.nope_dim, mixer.kv_rank, Presence::kNever,
                       mixer.n_heads);
    mixer.v_b = linear(block(layer, "attn_v_b"), mixer.kv_rank, mixer.v_dim, Presence::kNever,
                       mixer.n_heads);
  } else {
    mixer.kv_b = linear(block(layer, "attn_kv_b"), mixer.kv_rank,
                        mixer.n_heads * (mixer.nope_dim + mixer.v_dim));
  }
  mixer.out = linear(block(layer, "attn_output"), mixer.n_heads * mixer.v_dim, d);
  mixer.rope = options.rope;
  mixer.scale = options.score_magnitude * options.score_magnitude /
                std::sqrt(static_cast<float>(mixer.nope_dim + mixer.rope_dim));
  mixer.temperature = options.temperature;
  return mixer;
}

}  // namespace llmrun::models
