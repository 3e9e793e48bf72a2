// The dense feed-forward: down(activation(gate x) * up x), or down(activation(up x)), or only
// activation(x).
#include <array>
#include <span>

#include "runtime/pass.h"

namespace llmrun::runtime {

void run_dense_ffn(Pass& pass, const DenseFfn& ffn, ConstRows x, Rows y, bool add) {
  kernels::GatedActivationParams act = gated_form(ffn);
  if (!ffn.up.declared()) {
    act.gate = x;
    act.y = y;
    pass.ops.gated_activation(act);
    return;
  }
  const ArenaScope scope(pass.arena);
  const Rows up = pass.arena.rows(x.n, ffn.up.n_out);
  const bool is_gated = ffn.gate.declared();
  const Rows gate = is_gated ? pass.arena.rows(x.n, ffn.gate.n_out) : up;
  act.gate = gate;
  if (is_gated) act.up = up;
  act.y = up;
  const std::array<Product, 2> inner = {{{is_gated ? ffn.gate : ffn.up, gate}, {ffn.up, up}}};
  const std::span<const Product> products = std::span(inner).first(is_gated ? 2 : 1);
  const Product down{ffn.down, y, add};
  if (Weights::has(ffn.hidden_divisors) || pass.weights.adapters().any()) {
    project(pass, x, products);
    pass.ops.gated_activation(act);
    apply_divisors(pass, ffn.hidden_divisors, up);
    project(pass, up, {&down, 1});
    return;
  }
  std::array<kernels::MatmulOutput, 2> outputs;
  for (size_t i = 0; i < products.size(); ++i) outputs[i] = output_of(pass, products[i]);
  pass.ops.feed_forward({.x = x,
                         .inner = std::span(outputs).first(products.size()),
                         .activation = act,
                         .down = output_of(pass, down)});
}

}  // namespace llmrun::runtime
