// Selective state space: Mamba 1 and 2, and plamo2's mixture of both.
#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

struct Scan {
  Rows x, b, c, dt;
};

void project_inputs(Pass& pass, const StateSpace& mixer, ConstRows x, Rows z, Rows channels) {
  if (mixer.zx.declared()) {
    project_grouped(pass, mixer.zx, x, {z, channels});
  } else {
    project(pass, x, {{mixer.z, z}, {mixer.x, channels}});
  }
}

void normalise(Pass& pass, const std::optional<Norm>& norm, Rows x) {
  if (norm) apply_norm(pass, *norm, x, x);
}

// b, c and dt as functions of the convolved x.
void select(Pass& pass, const StateSpace& mixer, const Scan& scan) {
  const ArenaScope scope(pass.arena);
  const Rows low = pass.arena.rows(pass.n_tokens, mixer.dt_low.n_out);
  project(pass, scan.x, {{mixer.b, scan.b}, {mixer.c, scan.c}, {mixer.dt_low, low}});
  normalise(pass, mixer.b_norm, scan.b);
  normalise(pass, mixer.c_norm, scan.c);
  normalise(pass, mixer.dt_norm, low);
  project(pass, low, {{mixer.dt, scan.dt}});
}

// What the scan reads, from the block's input x and the convolved channels.
Scan make_scan(Pass& pass, const StateSpace& mixer, ConstRows x, Rows channels) {
  const int64_t width = mixer.n_heads * mixer.head_dim;
  const int64_t n_b = mixer.n_groups * mixer.n_state;
  Scan scan;
  scan.x = columns(channels, 0, width);
  scan.dt = pass.arena.rows(pass.n_tokens, mixer.n_heads);
  if (mixer.b.declared()) {
    scan.b = pass.arena.rows(pass.n_tokens, n_b);
    scan.c = pass.arena.rows(pass.n_tokens, n_b);
    select(pass, mixer, scan);
  } else {
    scan.b = columns(channels, width, n_b);
    scan.c = columns(channels, width + n_b, n_b);
    project(pass, x, {{mixer.dt, scan.dt}});
  }
  activate(pass, Activation::kSoftplus, scan.dt);
  return scan;
}

void run_scan(Pass& pass, const StateSpace& mixer, const Scan& scan) {
  for (const PassChunk& chunk : pass.chunks) {
    const auto own = [&](const Rows& rows) { return slice(rows, chunk.first_row, chunk.n_rows); };
    pass.ops.state_space({.x = own(scan.x),
                          .dt = own(scan.dt),
                          .b = own(scan.b),
                          .c = own(scan.c),
                          .y = own(scan.x),
                          .n_heads = mixer.n_heads,
                          .head_dim = mixer.head_dim,
                          .n_groups = mixer.n_groups,
                          .n_state = mixer.n_state,
                          .a = pass.weights.vector(mixer.a),
                          .a_per_state = mixer.a_per_state,
                          .d = pass.weights.vector(mixer.d),
                          .state = pass.states->memory(chunk.sequence, pass.layer)});
  }
}

}  // namespace

void run_state_space(Pass& pass, const StateSpace& mixer, ConstRows x, Rows y) {
  const ArenaScope scope(pass.arena);
  const Rows z = pass.arena.rows(pass.n_tokens, mixer.n_heads * mixer.head_dim);
  const Rows channels = pass.arena.rows(pass.n_tokens, mixer.conv.n_channels);
  const Rows convolved = pass.arena.rows(pass.n_tokens, mixer.conv.n_channels);
  project_inputs(pass, mixer, x, z, channels);
  convolve(pass, mixer.conv, 0, true, channels, convolved);
  const Scan scan = make_scan(pass, mixer, x, convolved);
  run_scan(pass, mixer, scan);
  gate_rows(pass, Activation::kSilu, z, scan.x);
  normalise(pass, mixer.out_norm, scan.x);
  project(pass, scan.x, {{mixer.out, y}});
}

}  // namespace llmrun::runtime
