// From the hidden states of whole texts to one vector each: pooling, then the dense layers that
// follow it in some models, or the classifier of a reranker.
#include <algorithm>

#include "runtime/pass.h"

namespace llmrun::runtime {
namespace {

// y = the mean of the rows, added up in their order.
void mean_of(Pass& pass, ConstRows rows, Rows y) {
  const ArenaScope scope(pass.host);
  auto* const weights = pass.host.array<float>(rows.n);
  if (!pass.measuring()) std::fill_n(weights, rows.n, 1.0F / static_cast<float>(rows.n));
  const float* const sent = pass.ops.send({weights, static_cast<size_t>(rows.n)});
  pass.ops.combine_experts({.x = rows, .weights = sent, .n_used = rows.n, .y = y});
}

void pool(Pass& pass, Pooling pooling, Rows hidden, Rows y) {
  if (pass.measuring()) return mean_of(pass, hidden, y);  // the one that takes memory
  for (size_t i = 0; i < pass.chunks.size(); ++i) {
    const PassChunk& chunk = pass.chunks[i];
    const Rows to = slice(y, static_cast<int64_t>(i), 1);
    const bool first = pooling == Pooling::kCls ||
                       // A causal model has seen the whole text at its last token only.
                       (pooling == Pooling::kRank && !pass.spec.causal);
    if (pooling == Pooling::kMean) {
      mean_of(pass, slice(hidden, chunk.first_row, chunk.n_rows), to);
    } else {
      copy_rows(pass, slice(hidden, chunk.first_row + (first ? 0 : chunk.n_rows - 1), 1), to);
    }
  }
}

void classify(Pass& pass, const Classifier& classifier, Rows x, Rows y) {
  if (classifier.dense.declared()) {
    const Rows dense = pass.arena.rows(x.n, classifier.dense.n_out);
    project(pass, x, {{classifier.dense, dense}});
    kernels::GatedActivationParams act;
    act.activation = classifier.activation;
    act.gate = dense;
    act.y = dense;
    pass.ops.gated_activation(act);
    if (classifier.norm) apply_norm(pass, *classifier.norm, dense, dense);
    x = dense;
  }
  project(pass, x, {{classifier.output, y}});
}

}  // namespace

void run_pooled(Pass& pass, Pooling pooling, Rows y) {
  const Rows hidden = run_layers(pass);
  if (pass.spec.head.norm) apply_norm(pass, *pass.spec.head.norm, hidden, hidden);
  if (pooling == Pooling::kNone) return copy_rows(pass, hidden, y);
  Rows pooled = pass.arena.rows(y.n, hidden.width);
  pool(pass, pooling, hidden, pooled);
  const EmbeddingHead& head = pass.spec.embedding_head;
  if (pooling == Pooling::kRank) return classify(pass, head.classifier, pooled, y);
  for (const Linear& dense : head.dense) {
    const Rows next = pass.arena.rows(y.n, dense.n_out);
    project(pass, pooled, {{dense, next}});
    pooled = next;
  }
  copy_rows(pass, pooled, y);
}

}  // namespace llmrun::runtime
