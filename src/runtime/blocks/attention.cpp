// Attention with grouped queries: project, normalise, rotate, write the cache, attend, project.
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

void clamp(Pass& pass, float limit, std::initializer_list<Rows> all) {
  if (limit <= 0.0F) return;
  for (const Rows& rows : all) pass.ops.scale({.x = rows, .clamp = limit});
}

void normalise_heads(Pass& pass, const Attention& mixer, Rows q, Rows k) {
  if (mixer.q_norm) apply_norm(pass, *mixer.q_norm, q, q);
  if (mixer.k_norm) apply_norm(pass, *mixer.k_norm, k, k);
}

// Queries, keys and values; the gate too, when every head's query comes with one.
void project_heads(Pass& pass, const Attention& mixer, ConstRows x, Rows q, Rows k, Rows v,
                   Rows gate) {
  if (!mixer.gate_in_q) {
    project(pass, x, {{mixer.q, q}, {mixer.k, k}, {mixer.v, v}});
    return;
  }
  project_grouped(pass, {mixer.q, mixer.n_heads}, x, {q, gate});
  project(pass, x, {{mixer.k, k}, {mixer.v, v}});
}

}  // namespace

void run_attention(Pass& pass, const Attention& mixer, ConstRows x, Rows y, bool add) {
  const ArenaScope scope(pass.arena);
  const Rows q = pass.arena.rows(pass.n_tokens, mixer.n_heads * mixer.k_dim);
  const Rows gate =
      pass.arena.rows(pass.n_tokens, mixer.gate_in_q ? mixer.n_heads * mixer.v_dim : 0);
  const Rows k = pass.arena.rows(pass.n_tokens, mixer.n_kv_heads * mixer.k_dim);
  const Rows v = pass.arena.rows(pass.n_tokens, mixer.n_kv_heads * mixer.v_dim);
  const Rows heads = pass.arena.rows(pass.n_tokens, mixer.n_heads * mixer.v_dim);

  project_heads(pass, mixer, x, q, k, v, gate);
  clamp(pass, mixer.clamp_qkv, {q, k, v});
  if (!mixer.qk_norm_after_rope) normalise_heads(pass, mixer, q, k);
  apply_rope(pass, mixer.rope, q, mixer.n_heads, 0);
  apply_rope(pass, mixer.rope, k, mixer.n_kv_heads, 0);
  if (mixer.qk_norm_after_rope) normalise_heads(pass, mixer, q, k);
  apply_factors(pass, mixer.query_gains, q);
  apply_temperature(pass, mixer.temperature, q);

  attend(
      pass,
      {.k = k, .v = v, .n_kv_heads = mixer.n_kv_heads, .k_dim = mixer.k_dim, .v_dim = mixer.v_dim},
      {.q = q,
       .y = heads,
       .n_heads = mixer.n_heads,
       .window = mixer.window,
       .chunk = mixer.chunk,
       .scale = mixer.scale,
       .soft_cap = mixer.soft_cap,
       .alibi_slopes = pass.slopes[pass.layer],
       .sinks = pass.weights.vector(mixer.sinks)});
  if (mixer.gate) apply_gate(pass, *mixer.gate, x, heads);
  if (mixer.gate_in_q) gate_rows(pass, Activation::kSigmoid, gate, heads);
  project(pass, heads, {{mixer.out, y, add}});
  if (mixer.out_scale != 1.0F) pass.ops.scale({.x = y, .factor = mixer.out_scale});
}

}  // namespace llmrun::runtime
