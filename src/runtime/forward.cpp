// The forward pass: embed, one loop over the layers, head. The variants live in blocks/.
#include <algorithm>
#include <optional>

#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

void embed(Pass& pass, Rows x) {
  const Embedding& embedding = pass.spec.embedding;
  pass.ops.embed({.table = pass.weights.matrix(embedding.table),
                  .ids = pass.ids,
                  .scale = embedding.scale,
                  .y = x});
  add_low_rank_rows(pass, embedding.table, embedding.scale, x);
  if (Weights::has(embedding.positions)) {
    const ArenaScope scope(pass.arena);
    const Rows learned = pass.arena.rows(pass.n_tokens, x.width);
    pass.ops.embed(
        {.table = pass.weights.matrix(embedding.positions), .ids = pass.positions, .y = learned});
    pass.ops.add({.x = learned, .y = x});
  }
  if (Weights::has(embedding.token_types)) {
    const ArenaScope scope(pass.arena);
    const Rows types = pass.arena.rows(pass.n_tokens, x.width);
    pass.ops.embed(
        {.table = pass.weights.matrix(embedding.token_types), .ids = pass.token_types, .y = types});
    pass.ops.add({.x = types, .y = x});
  }
  if (embedding.norm) apply_norm(pass, *embedding.norm, x, x);
}

// norm(x) in `buffer`, or x itself when there is no norm.
ConstRows normed(Pass& pass, const std::optional<Norm>& norm, Rows x, Rows buffer) {
  if (!norm) return x;
  apply_norm(pass, *norm, x, buffer);
  return buffer;
}

bool run_block(Pass& pass, const Mixer& mixer, ConstRows x, Rows y, bool add) {
  return run_mixer(pass, mixer, x, y, add);
}
bool run_block(Pass& pass, const Ffn& ffn, ConstRows x, Rows y, bool add) {
  return run_ffn(pass, ffn, x, y, add);
}

// block(input); nothing when the layer has no such block. Of devices that share the layer each
// computes a part, and all add up the same parts in the same order.
template <typename Block>
std::optional<Rows> run_branch(Pass& pass, const Block& block, ConstRows input, int64_t width) {
  const int64_t n = pass.n_tokens;
  const Rows parts = pass.arena.rows(n * static_cast<int64_t>(pass.n_shares), width);
  const auto part = [&](size_t share) { return slice(parts, static_cast<int64_t>(share) * n, n); };
  if (!run_block(pass, block, input, part(pass.share), false)) return std::nullopt;
  if (pass.gatherer != nullptr) pass.gatherer->gather(pass.share, parts);
  for (size_t share = 1; share < pass.n_shares; ++share) {
    pass.ops.add({.x = part(share), .y = part(0)});
  }
  return part(0);
}

// x = skip * x + scale * post_norm(block(input)), or x = post_norm(x + scale * block(input))
template <typename Block>
void add_branch(Pass& pass, const LayerSpec& layer, const Block& block,
                const std::optional<Norm>& post_norm, ConstRows input, Rows x) {
  const ArenaScope scope(pass.arena);
  const bool norms_sum = layer.residual == Residual::kPostNorm;
  const bool plain_sum = layer.branch_scale == 1.0F && layer.skip_scale == 1.0F;
  if (pass.n_shares == 1 && plain_sum && (!post_norm || norms_sum) && adds_itself(block)) {
    run_block(pass, block, input, x, true);
    if (post_norm) apply_norm(pass, *post_norm, x, x);
    return;
  }
  const auto branch = run_branch(pass, block, input, x.width);
  if (!branch) return;
  if (post_norm && !norms_sum) apply_norm(pass, *post_norm, *branch, *branch);
  pass.ops.add({.x = *branch, .y = x, .x_scale = layer.branch_scale, .y_scale = layer.skip_scale});
  if (post_norm && norms_sum) apply_norm(pass, *post_norm, x, x);
}

// Where norms write: the residual stream itself when what is skipped is the normed value.
struct NormBuffers {
  Rows mixer, ffn;
};

void run_layer(Pass& pass, const LayerSpec& layer, NormBuffers buffers, Rows x) {
  if (layer.residual == Residual::kNormed) buffers = {x, x};
  const bool parallel = layer.residual == Residual::kParallel;
  const ConstRows mixer_input = normed(pass, layer.mixer_norm, x, buffers.mixer);
  ConstRows ffn_input = mixer_input;
  if (parallel && layer.ffn_norm) ffn_input = normed(pass, layer.ffn_norm, x, buffers.ffn);
  add_branch(pass, layer, layer.mixer, layer.mixer_post_norm, mixer_input, x);
  add_branch(pass, layer, layer.second_mixer, layer.mixer_post_norm, mixer_input, x);
  if (!parallel) ffn_input = normed(pass, layer.ffn_norm, x, buffers.ffn);
  add_branch(pass, layer, layer.ffn, layer.ffn_post_norm, ffn_input, x);
  if (!std::holds_alternative<NoFfn>(layer.side_ffn)) {
    const ConstRows input = normed(pass, layer.side_norm, pass.layer_input, buffers.ffn);
    add_branch(pass, layer, layer.side_ffn, std::nullopt, input, x);
  }
}

// The residual stream between two layers: what the loop over them keeps besides x.
class Stream {
 public:
  Stream(Pass& pass, Rows& x) : pass_(pass), x_(x) {
    const auto& layers = pass.spec.layers;
    if (pass.spec.two_states) start_states();
    if (std::any_of(layers.begin(), layers.end(), reads_layer_input)) {
      pass.layer_input = pass.arena.rows(x.n, x.width);
    }
    const auto adds_embedding = [](const LayerSpec& l) { return l.embedding_gain.declared(); };
    if (std::any_of(layers.begin(), layers.end(), adds_embedding)) {
      embedded_ = pass.arena.rows(x.n, x.width);
      copy_rows(pass, x, embedded_);
    }
  }

  void before(const LayerSpec& layer, NormBuffers& buffers) {
    enter_layer(pass_, {&x_, &low_, &high_, &embedded_}, {&buffers.mixer, &buffers.ffn});
    if (pass_.spec.two_states && stack_starts_) {
      copy_rows(pass_, low_, x_);
      pass_.ops.add({.x = high_, .y = x_});
      stack_starts_ = false;
    }
    if (layer.stream_norm) apply_norm(pass_, *layer.stream_norm, x_, x_);
    if (reads_layer_input(layer)) copy_rows(pass_, x_, pass_.layer_input);
  }

  void after(const LayerSpec& layer) {
    if (layer.ends != StackEnd::kNone) end_stack(layer.ends);
    if (!layer.embedding_gain.declared()) return;
    const ArenaScope scope(pass_.arena);
    const Rows share = pass_.arena.rows(x_.n, x_.width);
    copy_rows(pass_, embedded_, share);
    apply_factors(pass_, layer.embedding_gain, share);
    pass_.ops.add({.x = share, .y = x_});
  }

 private:
  void start_states() {
    low_ = pass_.arena.rows(x_.n, x_.width);
    high_ = pass_.arena.rows(x_.n, x_.width);
    const float* const initial = pass_.weights.vector(pass_.spec.two_states->initial_low);
    copy_rows(pass_, {initial, x_.n, x_.width, 0}, low_);  // the same row for every token
    copy_rows(pass_, x_, high_);
  }
  void end_stack(StackEnd which) {
    apply_norm(pass_, pass_.spec.two_states->norm, x_, x_);
    copy_rows(pass_, x_, which == StackEnd::kLow ? low_ : high_);
    stack_starts_ = true;
  }

  Pass& pass_;
  Rows& x_;
  Rows low_{}, high_{};  // of two_states
  bool stack_starts_ = true;
  Rows embedded_{};
};

void run_plain_layers(Pass& pass, Rows& x) {
  const ArenaScope scope(pass.arena);
  NormBuffers buffers{pass.arena.rows(x.n, x.width), pass.arena.rows(x.n, x.width)};
  Stream stream(pass, x);
  for (pass.layer = 0; pass.layer < pass.spec.layers.size(); ++pass.layer) {
    const LayerSpec& layer = pass.spec.layers[pass.layer];
    stream.before(layer, buffers);
    run_layer(pass, layer, buffers, x);
    stream.after(layer);
  }
}

}  // namespace

Rows run_layers(Pass& pass) {
  Rows x = pass.arena.rows(pass.n_tokens, pass.spec.d_model);  // the residual stream
  embed(pass, x);
  if (pass.spec.bank.period > 0) {
    run_banked_layers(pass, x);
  } else if (pass.spec.n_streams > 1) {
    run_hyper_layers(pass, x);
  } else {
    run_plain_layers(pass, x);
  }
  return x;
}

// Logits of the rows the chunks want; the norm gathers them.
void run_head(Pass& pass, Rows x, Rows logits) {
  const Head& head = pass.spec.head;
  const Rows gathered = pass.arena.rows(logits.n, x.width);
  for (const PassChunk& chunk : pass.chunks) {
    const int64_t n = chunk.n_logits_rows;
    if (n == 0) continue;
    const Rows from = slice(x, chunk.first_row + chunk.n_rows - n, n);
    const Rows to = slice(gathered, chunk.first_logits_row, n);
    if (head.norm) {
      apply_norm(pass, *head.norm, from, to);
    } else {
      copy_rows(pass, from, to);
    }
  }
  if (logits.n == 0) return;
  const Rows computed = columns(logits, head.first_token, head.output.n_out);
  project(pass, gathered, {{head.output, computed}});
  if (head.logit_scale != 1.0F || head.soft_cap != 0.0F) {
    pass.ops.scale({.x = computed, .factor = head.logit_scale, .soft_cap = head.soft_cap});
  }
}

void run_forward(Pass& pass, Rows logits) { run_head(pass, run_layers(pass), logits); }

}  // namespace llmrun::runtime
