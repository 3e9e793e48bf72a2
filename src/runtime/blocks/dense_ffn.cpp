// The dense feed-forward: down(activation(gate x) * up x), or down(activation(up x)), or only
// activation(x).
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
  act.y = up;
  if (ffn.gate.declared()) {
    const Rows gate = pass.arena.rows(x.n, ffn.gate.n_out);
    project(pass, x, {{ffn.gate, gate}, {ffn.up, up}});
    act.gate = gate;
    act.up = up;
  } else {
    project(pass, x, {{ffn.up, up}});
    act.gate = up;
  }
  pass.ops.gated_activation(act);
  apply_divisors(pass, ffn.hidden_divisors, up);
  project(pass, up, {{ffn.down, y, add}});
}

}  // namespace llmrun::runtime
