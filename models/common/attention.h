// Attention blocks: grouped queries, and latent attention.
#pragma once

#include <optional>

#include "models/common/norms.h"

namespace llmrun::models {

enum class QkNorm : uint8_t {
  kNone,
  kHead,           // rms over each head, one weight for all heads
  kHeadAfterRope,  // the same, after the rotation
  kRow,            // rms over the whole row of queries, of keys
  kOwnLayer,       // layer norm over each head, which has weights of its own
};
struct AttentionOptions {
  int rope = runtime::kNoRope;
  Presence bias = Presence::kOptional;  // of q, k and v
  Presence out_bias = Presence::kNever;
  QkNorm qk_norm = QkNorm::kNone;
  float scale = 0.0F;  // 0: 1/sqrt(head size)
  float soft_cap = 0.0F;
  int64_t window = 0;
  int64_t head_dim = 0;  // of keys and values; 0: attention.key_length, attention.value_length
  float clamp_qkv = 0.0F;
  runtime::QueryTemperature temperature{};
  float alibi_max_bias = 0.0F;
  Presence sinks = Presence::kNever;
  // The heads' output is multiplied by gate(attn_gate x): one factor per head or one per value, as
  // the tensor's shape says.
  std::optional<Activation> gate{};
};
// Grouped-query attention from attn_q, attn_k, attn_v or a fused attn_qkv, and attn_output.
runtime::Attention attention(ModelMetadata& m, int64_t layer, const AttentionOptions& options);

// 1/sqrt(d_model / n_heads), which some models use although their heads are of another size.
float scale_by_width(ModelMetadata& m, int64_t layer);

struct LatentOptions {
  int rope = runtime::kNoRope;
  float score_magnitude = 1.0F;  // scores are multiplied by its square
  runtime::QueryTemperature temperature{};
};
// Latent attention; the queries are compressed when the file has attn_q_a, the products absorbed
// when it gives attention.key_length_mla.
runtime::LatentAttention latent_attention(ModelMetadata& m, int64_t layer,
                                          const LatentOptions& options);

}  // namespace llmrun::models
