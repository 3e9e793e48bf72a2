// Gated delta nets (Qwen3-Next, Qwen 3.5) and Kimi Delta Attention.
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

struct Heads {
  Rows q, k, v, gate;
};

void project_gate(Pass& pass, const DeltaNet& mixer, ConstRows x, Rows gate) {
  if (!mixer.gate_low.declared()) {
    project(pass, x, {{mixer.gate, gate}});
    return;
  }
  const ArenaScope scope(pass.arena);
  const Rows low = pass.arena.rows(pass.n_tokens, mixer.gate_low.n_out);
  project(pass, x, {{mixer.gate_low, low}});
  project(pass, low, {{mixer.gate, gate}});
}

// Queries, keys and values after their convolutions, queries and keys of length 1.
void project_heads(Pass& pass, const DeltaNet& mixer, ConstRows x, const Heads& heads) {
  const ArenaScope scope(pass.arena);
  const Rows q = pass.arena.rows(pass.n_tokens, heads.q.width);
  const Rows k = pass.arena.rows(pass.n_tokens, heads.k.width);
  const Rows v = pass.arena.rows(pass.n_tokens, heads.v.width);
  if (mixer.qkvz.declared()) {
    project_grouped(pass, mixer.qkvz, x, {q, k, v, heads.gate});
  } else {
    project(pass, x, {{mixer.q, q}, {mixer.k, k}, {mixer.v, v}});
    project_gate(pass, mixer, x, heads.gate);
  }
  convolve(pass, mixer.q_conv, 0, true, q, heads.q);
  convolve(pass, mixer.k_conv, q.width, true, k, heads.k);
  convolve(pass, mixer.v_conv, q.width + k.width, true, v, heads.v);
  for (const Rows& rows : {heads.q, heads.k}) {
    pass.ops.norm({.kind = kernels::NormKind::kLength,
                   .x = rows,
                   .y = rows,
                   .group = mixer.k_dim,
                   .weight_size = mixer.k_dim,
                   .eps = mixer.length_eps});
  }
}

// The same vector in every row.
ConstRows repeated(const Pass& pass, const TensorDecl& vector, int64_t width) {
  return {pass.weights.vector(vector), pass.n_tokens, width, 0};
}

void project_beta_and_decay(Pass& pass, const DeltaNet& mixer, ConstRows x, Rows beta, Rows decay) {
  const ArenaScope scope(pass.arena);
  if (mixer.beta_decay.declared()) {
    project_grouped(pass, mixer.beta_decay, x, {beta, decay});
    pass.ops.add({.x = repeated(pass, mixer.decay_bias, decay.width), .y = decay});
  } else if (mixer.decay_low.declared()) {
    const Rows low = pass.arena.rows(pass.n_tokens, mixer.decay_low.n_out);
    project(pass, x, {{mixer.beta, beta}, {mixer.decay_low, low}});
    project(pass, low, {{mixer.decay, decay}});
  } else {
    project(pass, x, {{mixer.beta, beta}, {mixer.decay, decay}});
  }
  activate(pass, Activation::kSigmoid, beta);
  const bool bounded = mixer.decay_form == DecayForm::kBounded;
  if (!bounded) activate(pass, Activation::kSoftplus, decay);
  pass.ops.multiply({.x = repeated(pass, mixer.a, mixer.n_heads),
                     .repeat = decay.width / mixer.n_heads,
                     .y = decay});
  if (!bounded) return;
  if (mixer.a_sign != 1.0F) pass.ops.scale({.x = decay, .factor = mixer.a_sign});
  activate(pass, Activation::kSigmoid, decay);
  pass.ops.scale({.x = decay, .factor = mixer.decay_bound});
}

}  // namespace

void run_delta_net(Pass& pass, const DeltaNet& mixer, ConstRows x, Rows y) {
  const ArenaScope scope(pass.arena);
  const auto rows = [&](int64_t width) { return pass.arena.rows(pass.n_tokens, width); };
  const int64_t k_width = mixer.n_k_heads * mixer.k_dim;
  const int64_t v_width = mixer.n_heads * mixer.v_dim;
  const Heads heads{rows(k_width), rows(k_width), rows(v_width), rows(v_width)};
  const Rows beta = rows(mixer.n_heads);
  const Rows decay = rows(mixer.n_decays());
  project_heads(pass, mixer, x, heads);
  project_beta_and_decay(pass, mixer, x, beta, decay);
  for (const PassChunk& chunk : pass.chunks) {
    const auto own = [&](const Rows& all) { return slice(all, chunk.first_row, chunk.n_rows); };
    pass.ops.delta_rule({.q = own(heads.q),
                         .k = own(heads.k),
                         .v = own(heads.v),
                         .log_decay = own(decay),
                         .beta = own(beta),
                         .y = own(heads.v),
                         .n_heads = mixer.n_heads,
                         .n_k_heads = mixer.n_k_heads,
                         .k_dim = mixer.k_dim,
                         .v_dim = mixer.v_dim,
                         .tiled_heads = mixer.tiled_heads,
                         .scale = mixer.scale,
                         .state = pass.states->memory(chunk.sequence, pass.layer)});
  }
  if (mixer.out_norm) apply_norm(pass, *mixer.out_norm, heads.v, heads.v);
  gate_rows(pass, mixer.gate_activation, heads.gate, heads.v);
  project(pass, heads.v, {{mixer.out, y}});
}

}  // namespace llmrun::runtime
