// Steps that several blocks of a forward pass take.
#include "runtime/pass.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace llmrun::runtime {

kernels::MatmulOutput output_of(const Pass& pass, const Product& product) {
  const Linear& linear = product.linear;
  return {.weight = pass.weights.matrix(linear.weight),
          .bias = pass.weights.vector(linear.bias),
          .scale = pass.weights.vector(linear.scale),
          .y = product.y.data,
          .y_stride = product.y.stride,
          .accumulate = product.add};
}

void project(Pass& pass, ConstRows x, std::span<const Product> products) {
  std::array<kernels::MatmulOutput, 4> outputs;
  size_t n = 0;
  for (const Product& product : products) outputs[n++] = output_of(pass, product);
  pass.ops.matmul({.x = x, .outputs = {outputs.data(), n}});
  if (!pass.weights.adapters().any()) return;
  for (const Product& product : products) {
    add_low_rank(pass, product.linear.weight, x, product.y);
  }
}

kernels::ExpertMatmulParams expert_products(const Choice& choice, ConstRows x, bool own_rows,
                                            std::span<const kernels::ExpertMatmulOutput> outputs) {
  return {.x = x,
          .experts = choice.experts,
          .n_pairs = own_rows ? x.n : x.n * choice.n_used,
          .pairs_per_row = own_rows ? 1 : choice.n_used,
          .max_per_expert = choice.max_per_expert,
          .outputs = outputs};
}

void project_grouped(Pass& pass, const GroupedLinear& grouped, ConstRows x,
                     std::initializer_list<Rows> parts) {
  const ArenaScope scope(pass.arena);
  const Rows all = pass.arena.rows(x.n, grouped.linear.n_out);
  project(pass, x, {{grouped.linear, all}});
  int64_t first = 0;
  for (const Rows& part : parts) {
    const int64_t width = part.width / grouped.n_groups;
    copy_rows(pass, split_heads(all, grouped.n_groups, first, width),
              split_heads(part, grouped.n_groups, 0, width));
    first += width;
  }
}

void convolve(Pass& pass, const Convolution& conv, int64_t first_channel, bool silu, Rows x,
              Rows y) {
  const StateShape shape = state_shape(pass.spec.layers[pass.layer]);
  for (const PassChunk& chunk : pass.chunks) {
    pass.ops.causal_conv({.x = slice(x, chunk.first_row, chunk.n_rows),
                          .y = slice(y, chunk.first_row, chunk.n_rows),
                          .weight = pass.weights.vector(conv.weight),
                          .bias = pass.weights.vector(conv.bias),
                          .n_taps = conv.n_taps,
                          .silu = silu,
                          .state = pass.states->window(chunk.sequence, pass.layer) + first_channel,
                          .state_stride = shape.window_width});
  }
}

void attend(Pass& pass, const kernels::KvWriteParams& write,
            const kernels::AttentionParams& attention) {
  std::array<kernels::KvWriteParams, KvCache::kTables> writes;
  std::array<kernels::AttentionParams, KvCache::kTables> attentions;
  for (size_t first = 0; first < pass.chunks.size(); first += KvCache::kTables) {
    const size_t n = std::min(KvCache::kTables, pass.chunks.size() - first);
    for (size_t i = 0; i < n; ++i) {
      const PassChunk& chunk = pass.chunks[first + i];
      kernels::KvWriteParams& w = writes[i];
      w = write;
      w.k = slice(write.k, chunk.first_row, chunk.n_rows);
      if (write.v.data != nullptr) w.v = slice(write.v, chunk.first_row, chunk.n_rows);
      w.k_type = pass.k_type;
      w.v_type = pass.v_type;
      w.pages = pass.cache->table(chunk.sequence, pass.layer, i, pass.share);
      w.first_position = chunk.first_position;
      kernels::AttentionParams& a = attentions[i];
      a = attention;
      a.q = slice(attention.q, chunk.first_row, chunk.n_rows);
      a.y = slice(attention.y, chunk.first_row, chunk.n_rows);
      a.n_kv_heads = w.n_kv_heads;
      a.k_dim = w.k_dim;
      a.v_dim = w.v_dim;
      a.k_type = w.k_type;
      a.v_type = w.v_type;
      a.v_in_k = w.v.data == nullptr;
      a.pages = w.pages;
      a.first_position = chunk.first_position;
      a.n_keys = chunk.first_position + chunk.n_rows;
      a.causal = pass.spec.causal;
    }
    pass.ops.kv_write(std::span(writes).first(n));
    pass.ops.attention(std::span(attentions).first(n));
  }
}

void apply_norm(Pass& pass, const Norm& norm, ConstRows x, Rows y) {
  pass.ops.norm({.kind = norm.kind,
                 .x = x,
                 .y = y,
                 .group = norm.group,
                 .weight = pass.weights.vector(norm.weight),
                 .bias = pass.weights.vector(norm.bias),
                 .weight_size = norm.weight_size,
                 .eps = norm.eps});
}

void copy_rows(Pass& pass, ConstRows x, Rows y) {
  kernels::GatedActivationParams params;
  params.activation = Activation::kNone;
  params.gate = x;
  params.y = y;
  pass.ops.gated_activation(params);
}

void activate(Pass& pass, Activation activation, Rows x) {
  kernels::GatedActivationParams params;
  params.activation = activation;
  params.gate = x;
  params.y = x;
  pass.ops.gated_activation(params);
}

void gate_rows(Pass& pass, Activation activation, ConstRows gate, Rows y) {
  kernels::GatedActivationParams params;
  params.activation = activation;
  params.gate = gate;
  params.up = y;
  params.y = y;
  pass.ops.gated_activation(params);
}

void apply_rope(Pass& pass, int rope, Rows x, int64_t n_heads, int64_t first_dim) {
  if (rope == kNoRope) return;
  const auto index = static_cast<size_t>(rope);
  const Rope& kind = pass.spec.ropes[index];
  pass.ops.rope({.x = x,
                 .n_heads = n_heads,
                 .head_stride = x.width / n_heads,
                 .first_dim = first_dim,
                 .n_pairs = kind.n_dims / 2,
                 .split_halves = kind.split_halves,
                 .positions = pass.positions,
                 .frequencies = pass.frequencies[index],
                 .magnitude = kind.magnitude});
}

void apply_temperature(Pass& pass, const QueryTemperature& temperature, Rows q) {
  if (temperature.scale == 0.0F) return;
  const ArenaScope scope(pass.host);
  float* const factors = pass.host.array<float>(pass.n_tokens);
  for (size_t i = 0; i < pass.positions.size(); ++i) {
    const int64_t steps = (pass.positions[i] + temperature.offset) / temperature.length;
    factors[i] = 1.0F + temperature.scale * std::log(static_cast<float>(steps + 1));
  }
  pass.ops.scale(
      {.x = q, .row_factor = pass.ops.send({factors, static_cast<size_t>(pass.n_tokens)})});
}

namespace {

void multiply_columns(Pass& pass, const TensorDecl& factors, Activation activation, Rows y) {
  if (!Weights::has(factors)) return;
  int64_t n = 1;
  for (const int64_t dim : factors.shape) n *= dim;
  if (factors.count > 0) n = n / factors.shape.back() * factors.count;
  pass.ops.multiply({.x = {pass.weights.vector(factors), y.n, n, 0},
                     .activation = activation,
                     .repeat = y.width / n,
                     .y = y});
}

}  // namespace

void apply_factors(Pass& pass, const TensorDecl& factors, Rows y) {
  multiply_columns(pass, factors, Activation::kNone, y);
}

void apply_divisors(Pass& pass, const TensorDecl& divisors, Rows y) {
  multiply_columns(pass, divisors, Activation::kReciprocal, y);
}

void apply_gate(Pass& pass, const OutputGate& gate, ConstRows x, Rows heads) {
  const ArenaScope scope(pass.arena);
  const Rows factors = pass.arena.rows(pass.n_tokens, gate.linear.n_out);
  project(pass, x, {{gate.linear, factors}});
  pass.ops.multiply({.x = factors,
                     .activation = gate.activation,
                     .repeat = heads.width / gate.linear.n_out,
                     .y = heads});
}

}  // namespace llmrun::runtime
