// Mixture of experts: route every token to its experts, run the (token, expert) pairs as grouped
// products, add them up by the router's weights, add the shared expert.
#include <array>

#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

bool experts_are_elsewhere(const Pass& pass) {
  return pass.turns != nullptr && pass.turns->experts_are_elsewhere(pass.layer);
}

// Where the experts can read it.
Choice new_choice(Pass& pass, int64_t n_tokens, int64_t n_used, int64_t max_per_expert) {
  const int64_t n = n_tokens * n_used;
  Arena& arena = experts_are_elsewhere(pass) ? pass.host : pass.arena;
  return {arena.array<int32_t>(n), arena.array<float>(n), n_used, max_per_expert};
}

Rows router_logits(Pass& pass, const MoeFfn& ffn, ConstRows x) {
  const Rows logits = pass.arena.rows(x.n, ffn.n_experts);
  project(pass, ffn.routes_layer_input ? ConstRows(pass.layer_input) : x, {{ffn.router, logits}});
  return logits;
}

Choice route(Pass& pass, const MoeFfn& ffn, Rows logits) {
  const Choice choice = new_choice(pass, logits.n, ffn.n_used, logits.n);
  pass.ops.route({.logits = logits,
                  .kind = ffn.router_kind,
                  .selection_bias = pass.weights.vector(ffn.selection_bias),
                  .n_used = ffn.n_used,
                  .n_groups = ffn.n_groups,
                  .n_groups_used = ffn.n_groups_used,
                  .select_by_logit = ffn.select_by_logit,
                  .normalise = ffn.normalise,
                  .scale = ffn.scale,
                  .experts = choice.experts,
                  .weights = choice.weights});
  return choice;
}

Choice route_chunks(Pass& pass, const ChunkExperts& chunks, Rows logits) {
  // Experts of one token may be of the same chunk.
  const Choice choice = new_choice(pass, logits.n, chunks.n_used, logits.n * chunks.n_used);
  pass.ops.route({.logits = logits,
                  .n_used = chunks.n_used,
                  .select_by_logit = true,
                  .experts_per_chunk = chunks.experts_per_chunk,
                  .normalise = true,
                  .experts = choice.experts,
                  .weights = choice.weights});
  return choice;
}

kernels::ExpertMatmulOutput product(const Pass& pass, const Linear& linear, Rows y) {
  return {.weight = pass.weights.matrix(linear.weight),
          .bias = pass.weights.vector(linear.bias),
          .scale = pass.weights.vector(linear.scale),
          .y = y.data,
          .y_stride = y.stride};
}

// The hidden rows of all pairs, activated: [n_tokens * n_used, n_ff].
Rows run_up(Pass& pass, const Experts& ffn, ConstRows x, Choice choice) {
  const int64_t n_pairs = x.n * ffn.n_used;
  kernels::GatedActivationParams act = gated_form(ffn);
  act.swiglu_oai = ffn.swiglu_oai;
  std::array<kernels::ExpertMatmulOutput, 2> outputs;
  size_t n_outputs = 1;
  Rows hidden;
  if (ffn.gate_up.declared()) {
    const Rows both = pass.arena.rows(n_pairs, 2 * ffn.n_ff);
    outputs[0] = product(pass, ffn.gate_up, both);
    hidden = columns(both, 0, ffn.n_ff);
    act.gate = hidden;
    act.up = columns(both, ffn.n_ff, ffn.n_ff);
  } else {
    hidden = pass.arena.rows(n_pairs, ffn.n_ff);
    outputs[0] = product(pass, ffn.up, hidden);
    act.gate = hidden;
    if (Weights::has(ffn.gate.weight)) {
      const Rows gate = pass.arena.rows(n_pairs, ffn.n_ff);
      outputs[n_outputs++] = product(pass, ffn.gate, gate);
      act.gate = gate;
      act.up = hidden;
    }
  }
  act.y = hidden;
  pass.ops.expert_matmul(expert_products(choice, x, false, {outputs.data(), n_outputs}));
  if (ffn.gate_up.declared()) {
    add_low_rank_experts(pass, ffn.gate_up.weight, choice, x, false,
                         {outputs[0].y, n_pairs, 2 * ffn.n_ff, 2 * ffn.n_ff});
  } else {
    add_low_rank_experts(pass, ffn.up.weight, choice, x, false, hidden);
    add_low_rank_experts(pass, ffn.gate.weight, choice, x, false,
                         {outputs[1].y, n_pairs, ffn.n_ff, ffn.n_ff});
  }
  if (ffn.weighs_input) {  // a factor of what an expert reads is one of what its products give
    for (size_t i = 0; i < n_outputs; ++i) {
      const int64_t width = outputs[i].y_stride;
      pass.ops.scale({.x = {outputs[i].y, n_pairs, width, width}, .row_factor = choice.weights});
    }
  }
  pass.ops.gated_activation(act);
  return hidden;
}

void run_experts_here(Pass& pass, const Experts& ffn, ConstRows x, Choice choice, Rows y) {
  const ArenaScope scope(pass.arena);
  const Rows hidden = run_up(pass, ffn, x, choice);
  const Rows out = pass.arena.rows(hidden.n, y.width);
  const kernels::ExpertMatmulOutput down = product(pass, ffn.down, out);
  pass.ops.expert_matmul(expert_products(choice, hidden, true, {&down, 1}));
  add_low_rank_experts(pass, ffn.down.weight, choice, hidden, true, out);
  pass.ops.combine_experts({.x = out,
                            .weights = ffn.weighs_input ? nullptr : choice.weights,
                            .n_used = ffn.n_used,
                            .y = y});
}

// y = the chosen experts' outputs for x, by their weights. What crosses to experts on another
// device and back is in memory of the host, which both read and write. Each of them waits for the
// other, so that the next layer can use the same memory.
void run_experts(Pass& pass, const Experts& ffn, ConstRows x, Choice choice, Rows y) {
  if (!experts_are_elsewhere(pass)) {
    run_experts_here(pass, ffn, x, choice, y);
    return;
  }
  const ArenaScope scope(pass.host);
  const Rows in = pass.host.rows(x.n, x.width);
  const Rows out = pass.host.rows(y.n, y.width);
  copy_rows(pass, x, in);
  pass.turns->give_to_experts(pass.layer);
  pass.arena.move_to(pass.turns->arena());
  run_experts_here(pass, ffn, in, choice, out);
  pass.turns->give_to(pass.layer);
  pass.arena.move_to(pass.turns->arena());
  copy_rows(pass, out, y);
}

void run_latent_experts(Pass& pass, const MoeFfn& ffn, ConstRows x, Choice choice, Rows y) {
  const ArenaScope scope(pass.arena);
  const Rows in = pass.arena.rows(x.n, ffn.latent_down.n_out);
  const Rows sum = pass.arena.rows(x.n, ffn.latent_up.n_in);
  project(pass, x, {{ffn.latent_down, in}});
  run_experts(pass, ffn, in, choice, sum);
  if (ffn.latent_norm) apply_norm(pass, *ffn.latent_norm, sum, sum);
  project(pass, sum, {{ffn.latent_up, y}});
}

// The chunks' experts read what the others gave.
void add_chunks(Pass& pass, const ChunkExperts& chunks, Rows logits, Rows y) {
  const Choice choice = route_chunks(pass, chunks, logits);
  const Rows more = pass.arena.rows(y.n, y.width);
  run_experts(pass, chunks, y, choice, more);
  pass.ops.add({.x = more, .y = y, .x_scale = chunks.scale});
}

void add_shared(Pass& pass, const MoeFfn& ffn, ConstRows x, Rows y) {
  const ArenaScope scope(pass.arena);
  const Rows shared = pass.arena.rows(x.n, y.width);
  run_dense_ffn(pass, *ffn.shared, x, shared, false);
  if (ffn.shared_gate.declared()) {
    const Rows gate = pass.arena.rows(x.n, 1);
    project(pass, x, {{ffn.shared_gate, gate}});
    pass.ops.multiply(
        {.x = gate, .activation = Activation::kSigmoid, .repeat = y.width, .y = shared});
  }
  pass.ops.add({.x = shared, .y = y});
}

}  // namespace

void run_moe_ffn(Pass& pass, const MoeFfn& ffn, ConstRows x, Rows y) {
  const ArenaScope scope(pass.arena), host_scope(pass.host);
  const Rows logits = router_logits(pass, ffn, x);
  const Choice choice = route(pass, ffn, logits);
  if (ffn.latent_down.declared()) {
    run_latent_experts(pass, ffn, x, choice, y);
  } else {
    run_experts(pass, ffn, x, choice, y);
  }
  if (ffn.chunks) add_chunks(pass, *ffn.chunks, logits, y);
  if (ffn.shared) add_shared(pass, ffn, x, y);
  if (ffn.output_scale != 1.0F) pass.ops.scale({.x = y, .factor = ffn.output_scale});
}

}  // namespace llmrun::runtime
