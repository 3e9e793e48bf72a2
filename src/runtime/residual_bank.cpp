// Layers whose blocks read a mixture of the residual stream and its checkpoints (kimi-k3).
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

// The checkpoints, one after the other, and a place behind them for the stream itself: banking the
// stream after it was mixed in is only counting it.
class Bank {
 public:
  Bank(Pass& pass, Rows& x) : pass_(pass), x_(x), step_(x.n * x.width) {
    const int64_t period = pass.spec.bank.period;
    const int64_t n_layers = static_cast<int64_t>(pass.spec.layers.size());
    const int64_t most = (n_layers + period - 1) / period + 1;
    slots_ = pass.arena.rows(most * x.n, x.width);
    scores_ = pass.arena.rows(x.n, most);
    direction_ = pass.arena.rows(x.n, x.width);
  }

  // Before each layer; `input` and `branch` hold nothing that it reads.
  void enter(Rows& input, Rows& branch) {
    enter_layer(pass_, {&x_, &slots_}, {&scores_, &direction_, &input, &branch});
  }
  // y = the mixture; x stays in the place behind the checkpoints.
  void mix(const Linear& score, Rows y) {
    copy_rows(pass_, x_, slot(n_));
    for (int64_t j = 0; j <= n_; ++j) {
      pass_.ops.norm({.x = slot(j),
                      .y = direction_,
                      .group = x_.width,
                      .weight_size = x_.width,
                      .eps = pass_.spec.bank.eps});
      project(pass_, direction_, {{score, columns(scores_, j, 1)}});
    }
    pass_.ops.mix_rows(
        {.x = slot(0), .x_step = step_, .scores = columns(scores_, 0, n_ + 1), .y = y});
  }
  void keep() { ++n_; }

 private:
  [[nodiscard]] Rows slot(int64_t j) const { return slice(slots_, j * x_.n, x_.n); }

  Pass& pass_;
  Rows& x_;
  Rows slots_, scores_, direction_;
  int64_t step_;
  int64_t n_ = 0;  // checkpoints
};

void normed_mixture(Pass& pass, Bank& bank, const Linear& score, const std::optional<Norm>& norm,
                    Rows y) {
  bank.mix(score, y);
  if (norm) apply_norm(pass, *norm, y, y);
}

}  // namespace

void run_banked_layers(Pass& pass, Rows& x) {
  const ArenaScope scope(pass.arena);
  Bank bank(pass, x);
  Rows input = pass.arena.rows(x.n, x.width);
  Rows branch = pass.arena.rows(x.n, x.width);
  const auto period = static_cast<size_t>(pass.spec.bank.period);
  for (pass.layer = 0; pass.layer < pass.spec.layers.size(); ++pass.layer) {
    const LayerSpec& layer = pass.spec.layers[pass.layer];
    bank.enter(input, branch);
    normed_mixture(pass, bank, layer.mixer_score, layer.mixer_norm, input);
    const bool restart = pass.layer % period == 0;
    if (restart) bank.keep();
    if (run_mixer(pass, layer.mixer, input, branch)) {
      if (restart) {
        copy_rows(pass, branch, x);
      } else {
        pass.ops.add({.x = branch, .y = x});
      }
    }
    normed_mixture(pass, bank, layer.ffn_score, layer.ffn_norm, input);
    if (run_ffn(pass, layer.ffn, input, branch)) pass.ops.add({.x = branch, .y = x});
  }
  bank.mix(pass.spec.bank.output_score, branch);
  copy_rows(pass, branch, x);
}

}  // namespace llmrun::runtime
