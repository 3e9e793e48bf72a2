// Lightning attention (MiniMax-01): a state space whose b, x and c are k, v and q, with decays that
// depend on the head alone.
#include "runtime/pass.h"

namespace llmrun::runtime {

void run_lightning_attention(Pass& pass, const LightningAttention& mixer, ConstRows x, Rows y) {
  const ArenaScope scope(pass.arena);
  const int64_t width = mixer.n_heads * mixer.head_dim;
  const Rows q = pass.arena.rows(pass.n_tokens, width);
  const Rows k = pass.arena.rows(pass.n_tokens, width);
  const Rows v = pass.arena.rows(pass.n_tokens, width);
  project_grouped(pass, mixer.qkv, x, {q, k, v});
  for (const Rows& rows : {q, k, v}) activate(pass, Activation::kSilu, rows);
  for (const PassChunk& chunk : pass.chunks) {
    const auto own = [&](const Rows& rows) { return slice(rows, chunk.first_row, chunk.n_rows); };
    pass.ops.state_space({.x = own(v),
                          .dt = {},
                          .b = own(k),
                          .c = own(q),
                          .y = own(v),
                          .n_heads = mixer.n_heads,
                          .head_dim = mixer.head_dim,
                          .n_groups = mixer.n_heads,
                          .n_state = mixer.head_dim,
                          .a = pass.slopes[pass.layer],
                          .state = pass.states->memory(chunk.sequence, pass.layer)});
  }
  if (mixer.norm) apply_norm(pass, *mixer.norm, v, v);
  if (mixer.gate) apply_gate(pass, *mixer.gate, x, v);
  project(pass, v, {{mixer.out, y}});
}

}  // namespace llmrun::runtime
