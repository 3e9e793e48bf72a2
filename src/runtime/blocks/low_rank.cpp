// What adapters add to products and to looked-up rows: y += scale * B (A x), adapter by adapter.
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

// y += scale * B low
void add_b(Pass& pass, const LowRank& term, Rows low, Rows y) {
  const kernels::MatmulOutput output{.weight = term.b,
                                     .scale = pass.ops.send({&term.scale, 1}),
                                     .y = y.data,
                                     .y_stride = y.stride,
                                     .accumulate = true};
  pass.ops.matmul({.x = low, .outputs = {&output, 1}});
}

}  // namespace

void add_low_rank(Pass& pass, const TensorDecl& weight, ConstRows x, Rows y) {
  for (const LowRank& term : pass.weights.adapters().of(weight)) {
    const ArenaScope scope(pass.arena);
    const Rows low = pass.arena.rows(x.n, term.a.n_out);
    const kernels::MatmulOutput a{.weight = term.a, .y = low.data, .y_stride = low.stride};
    pass.ops.matmul({.x = x, .outputs = {&a, 1}});
    add_b(pass, term, low, y);
  }
}

void add_low_rank_rows(Pass& pass, const TensorDecl& table, float scale, Rows y) {
  for (const LowRank& term : pass.weights.adapters().of_rows(table)) {
    const ArenaScope scope(pass.arena);
    const Rows low = pass.arena.rows(y.n, term.a.n_in);
    pass.ops.embed({.table = term.a, .ids = pass.ids, .scale = scale, .y = low});
    add_b(pass, term, low, y);
  }
}

void add_low_rank_experts(Pass& pass, const TensorDecl& weight, const Choice& choice, ConstRows x,
                          bool own_rows, Rows y) {
  for (const LowRank& term : pass.weights.adapters().of(weight)) {
    const ArenaScope scope(pass.arena);
    const Rows low = pass.arena.rows(y.n, term.a.n_out);
    const Rows more = pass.arena.rows(y.n, y.width);
    const kernels::ExpertMatmulOutput a{.weight = term.a, .y = low.data, .y_stride = low.stride};
    const kernels::ExpertMatmulOutput b{.weight = term.b, .y = more.data, .y_stride = more.stride};
    pass.ops.expert_matmul(expert_products(choice, x, own_rows, {&a, 1}));
    pass.ops.expert_matmul(expert_products(choice, low, true, {&b, 1}));
    pass.ops.add({.x = more, .y = y, .x_scale = term.scale});
  }
}

}  // namespace llmrun::runtime
