// Layers between which the residual stream is several streams (qwen4exp).
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

void copy_to_streams(Pass& pass, ConstRows x, Rows streams) {
  for (int64_t c = 0; c < pass.spec.n_streams; ++c) {
    copy_rows(pass, x, columns(streams, c * x.width, x.width));
  }
}

// y = the block's input; `inject` (if the mix has it) = how much of its output each stream takes.
void mix(Pass& pass, const HyperMix& mix, Rows streams, Rows y, Rows inject) {
  const ArenaScope scope(pass.arena);
  const int64_t n_streams = pass.spec.n_streams;
  const float share = 1.0F / static_cast<float>(n_streams);
  const Rows u = pass.arena.rows(streams.n, streams.width);
  const Rows low = pass.arena.rows(streams.n, mix.down.n_out);
  const Rows gates = pass.arena.rows(streams.n, streams.width);
  apply_norm(pass, mix.norm, streams, u);
  if (mix.inject.declared()) {
    project(pass, u, {{mix.down, low}, {mix.inject, inject}});
    pass.ops.scale({.x = inject, .factor = share});
  } else {
    project(pass, u, {{mix.down, low}});
  }
  pass.ops.scale({.x = low, .factor = share});
  activate(pass, Activation::kSilu, low);
  project(pass, low, {{mix.up, gates}});
  gate_rows(pass, Activation::kSigmoid, gates, u);
  copy_rows(pass, columns(u, 0, y.width), y);
  for (int64_t c = 1; c < n_streams; ++c) {
    pass.ops.add({.x = columns(u, c * y.width, y.width), .y = y});
  }
  pass.ops.scale({.x = y, .factor = share});
}

// streams[c] += 2 * sigmoid(inject[c]) * branch
void add_to_streams(Pass& pass, ConstRows branch, ConstRows inject, Rows streams) {
  const ArenaScope scope(pass.arena);
  const Rows added = pass.arena.rows(streams.n, streams.width);
  copy_to_streams(pass, branch, added);
  pass.ops.multiply(
      {.x = inject, .activation = Activation::kSigmoid, .repeat = branch.width, .y = added});
  pass.ops.add({.x = added, .y = streams, .x_scale = 2.0F});
}

}  // namespace

void run_hyper_layers(Pass& pass, Rows& x) {
  const ArenaScope scope(pass.arena);
  Rows streams = pass.arena.rows(x.n, pass.spec.n_streams * x.width);
  Rows inject = pass.arena.rows(x.n, pass.spec.n_streams);
  Rows branch = pass.arena.rows(x.n, x.width);
  copy_to_streams(pass, x, streams);
  for (pass.layer = 0; pass.layer < pass.spec.layers.size(); ++pass.layer) {
    const LayerSpec& layer = pass.spec.layers[pass.layer];
    enter_layer(pass, {&streams}, {&x, &inject, &branch});
    if (layer.ngram) add_ngram_embedding(pass, *layer.ngram, streams);
    mix(pass, *layer.mixer_mix, streams, x, inject);
    if (run_mixer(pass, layer.mixer, x, branch)) add_to_streams(pass, branch, inject, streams);
    mix(pass, *layer.ffn_mix, streams, x, inject);
    if (run_ffn(pass, layer.ffn, x, branch)) add_to_streams(pass, branch, inject, streams);
  }
  mix(pass, *pass.spec.head.mix, streams, x, inject);
}

}  // namespace llmrun::runtime
