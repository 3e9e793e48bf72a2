// Multi-head latent attention (DeepSeek-V2, section 2.1): absorbed, where the cache holds one
// vector [c | k_rope] per token, and the older form with keys and values of every head.
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

Rows project_queries(Pass& pass, const LatentAttention& mixer, ConstRows x) {
  const Rows q = pass.arena.rows(pass.n_tokens, mixer.n_heads * (mixer.nope_dim + mixer.rope_dim));
  if (!mixer.q_a.declared()) {
    project(pass, x, {{mixer.q, q}});
    return q;
  }
  const ArenaScope scope(pass.arena);
  const Rows compressed = pass.arena.rows(pass.n_tokens, mixer.q_a.n_out);
  project(pass, x, {{mixer.q_a, compressed}});
  if (mixer.q_a_norm) apply_norm(pass, *mixer.q_a_norm, compressed, compressed);
  project(pass, compressed, {{mixer.q_b, q}});
  return q;
}

// [c | k_rope]: c normalised, k_rope rotated.
Rows project_latent(Pass& pass, const LatentAttention& mixer, ConstRows x) {
  const Rows latent = pass.arena.rows(pass.n_tokens, mixer.kv_rank + mixer.rope_dim);
  project(pass, x, {{mixer.kv_a, latent}});
  const Rows c = columns(latent, 0, mixer.kv_rank);
  if (mixer.kv_a_norm) apply_norm(pass, *mixer.kv_a_norm, c, c);
  apply_rope(pass, mixer.rope, latent, 1, mixer.kv_rank);
  return latent;
}

void attend(Pass& pass, const LatentAttention& mixer, Rows q, Rows k, Rows v, Rows heads) {
  const KvShape shape = kv_shape(pass.spec.layers[pass.layer]);
  const bool in_k = shape.v_dim == 0;  // the values are the first kv_rank dims of the keys
  runtime::attend(pass,
                  {.k = k,
                   .v = in_k ? ConstRows() : ConstRows(v),
                   .n_kv_heads = shape.n_kv_heads,
                   .k_dim = shape.k_dim,
                   .v_dim = in_k ? mixer.kv_rank : shape.v_dim},
                  {.q = q, .y = heads, .n_heads = mixer.n_heads, .scale = mixer.scale});
}

// The key product is moved to the query: (W_k c) . q = c . (W_k^T q); the value product is applied
// to the weighted sum of the c's.
void run_absorbed(Pass& pass, const LatentAttention& mixer, Rows q, Rows latent, Rows heads) {
  const ArenaScope scope(pass.arena);
  const int64_t n_heads = mixer.n_heads;
  const int64_t width = mixer.kv_rank + mixer.rope_dim;
  const int64_t q_dim = mixer.nope_dim + mixer.rope_dim;
  const Rows query = pass.arena.rows(pass.n_tokens, n_heads * width);
  const Rows mixed = pass.arena.rows(pass.n_tokens, n_heads * mixer.kv_rank);
  pass.ops.head_matmul({.weight = pass.weights.matrix(mixer.k_b.weight),
                        .x = q,
                        .x_head_stride = q_dim,
                        .y = query,
                        .y_head_stride = width});
  copy_rows(pass, split_heads(q, n_heads, mixer.nope_dim, mixer.rope_dim),
            split_heads(query, n_heads, mixer.kv_rank, mixer.rope_dim));
  attend(pass, mixer, query, latent, {}, mixed);
  pass.ops.head_matmul({.weight = pass.weights.matrix(mixer.v_b.weight),
                        .x = mixed,
                        .x_head_stride = mixer.kv_rank,
                        .y = heads,
                        .y_head_stride = mixer.v_dim});
}

void run_expanded(Pass& pass, const LatentAttention& mixer, Rows q, Rows latent, Rows heads) {
  const ArenaScope scope(pass.arena);
  const int64_t n_heads = mixer.n_heads;
  const int64_t k_dim = mixer.nope_dim + mixer.rope_dim;
  const Rows kv = pass.arena.rows(pass.n_tokens, n_heads * (mixer.nope_dim + mixer.v_dim));
  const Rows k = pass.arena.rows(pass.n_tokens, n_heads * k_dim);
  const Rows v = pass.arena.rows(pass.n_tokens, n_heads * mixer.v_dim);
  project(pass, columns(latent, 0, mixer.kv_rank), {{mixer.kv_b, kv}});
  if (mixer.nope_dim > 0) {
    copy_rows(pass, split_heads(kv, n_heads, 0, mixer.nope_dim),
              split_heads(k, n_heads, 0, mixer.nope_dim));
  }
  copy_rows(pass, split_heads(kv, n_heads, mixer.nope_dim, mixer.v_dim),
            split_heads(v, n_heads, 0, mixer.v_dim));
  const Rows k_rope = columns(latent, mixer.kv_rank, mixer.rope_dim);
  for (int64_t h = 0; h < n_heads; ++h) {
    copy_rows(pass, k_rope, columns(k, h * k_dim + mixer.nope_dim, mixer.rope_dim));
  }
  attend(pass, mixer, q, k, v, heads);
}

}  // namespace

void run_latent_attention(Pass& pass, const LatentAttention& mixer, ConstRows x, Rows y, bool add) {
  const ArenaScope scope(pass.arena);
  const Rows q = project_queries(pass, mixer, x);
  const Rows latent = project_latent(pass, mixer, x);
  const Rows heads = pass.arena.rows(pass.n_tokens, mixer.n_heads * mixer.v_dim);
  apply_rope(pass, mixer.rope, q, mixer.n_heads, mixer.nope_dim);
  apply_temperature(pass, mixer.temperature, q);
  if (mixer.absorbed()) {
    run_absorbed(pass, mixer, q, latent, heads);
  } else {
    run_expanded(pass, mixer, q, latent, heads);
  }
  if (mixer.gate) apply_gate(pass, *mixer.gate, x, heads);
  project(pass, heads, {{mixer.out, y, add}});
}

}  // namespace llmrun::runtime
