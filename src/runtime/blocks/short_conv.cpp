// Gated short convolution (LFM2): out(c * conv(b * u)).
#include "runtime/pass.h"

namespace llmrun::runtime {

void run_short_conv(Pass& pass, const ShortConv& mixer, ConstRows x, Rows y) {
  const ArenaScope scope(pass.arena);
  const int64_t width = mixer.conv.n_channels;
  const Rows b = pass.arena.rows(pass.n_tokens, width);
  const Rows c = pass.arena.rows(pass.n_tokens, width);
  const Rows u = pass.arena.rows(pass.n_tokens, width);
  const Rows convolved = pass.arena.rows(pass.n_tokens, width);
  project(pass, x, {{mixer.b, b}, {mixer.c, c}, {mixer.u, u}});
  gate_rows(pass, Activation::kNone, b, u);
  convolve(pass, mixer.conv, 0, false, u, convolved);
  gate_rows(pass, Activation::kNone, c, convolved);
  project(pass, convolved, {{mixer.out, y}});
}

}  // namespace llmrun::runtime
