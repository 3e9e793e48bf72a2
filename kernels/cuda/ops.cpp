// From the op contract to launchers.
#include "kernels/cuda/ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/sizes.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels::cuda {
namespace {

bool is_float(const Weight& weight) { return quant::traits(weight.type).is_float; }

bool same_rows(const ConstRows& a, const ConstRows& b) {
  return a.data == b.data && a.n == b.n && a.width == b.width && a.stride == b.stride;
}

QuantizedRows lay_out(std::byte* at, int64_t n_values) {
  const auto n = static_cast<size_t>(n_values);
  QuantizedRows rows;
  rows.q = reinterpret_cast<int8_t*>(at);
  at += aligned(n);
  rows.scales = reinterpret_cast<float*>(at);
  at += aligned(n / 16 * sizeof(float));
  rows.sums = reinterpret_cast<float*>(at);
  return rows;
}

ProductParams product_of(const MatmulOutput& output, const ConstRows& x,
                         const QuantizedRows& rows) {
  ProductParams p;
  p.weight = output.weight;
  p.rows = rows;
  p.x = x.data;
  p.x_stride = x.stride;
  p.job.count = static_cast<int32_t>(x.n);
  p.max_count = p.job.count;
  p.bias = output.bias;
  p.scale = output.scale;
  p.y = output.y;
  p.y_stride = output.y_stride;
  p.accumulate = output.accumulate;
  return p;
}

// Whether gate and up can be one launch with the activation.
bool is_gated_pair(const FeedForwardParams& params) {
  if (params.x.n == 0 || params.x.n > kDecodeRows || params.inner.size() != 2) return false;
  const Weight& gate = params.inner[0].weight;
  const Weight& up = params.inner[1].weight;
  return gate.type == up.type && gate.n_out == up.n_out;
}

DrawnRow drawn_row(const RowDraw& draw) {
  const SamplingOptions& options = *draw.options;
  DrawnRow row;
  row.uniform = draw.uniform;
  row.has_min_p = options.min_p > 0.0F ? 1 : 0;
  if (row.has_min_p != 0) row.log_min_p = std::log(static_cast<double>(options.min_p));
  row.temperature = options.temperature;
  row.top_p = options.top_p;
  row.repeat_penalty = options.repeat_penalty;
  row.frequency_penalty = options.frequency_penalty;
  row.presence_penalty = options.presence_penalty;
  row.n_named = static_cast<int32_t>(draw.named.size());
  row.n_kept = static_cast<int32_t>(draw.n_best()) - row.n_named;
  row.is_greedy = options.temperature == 0.0F ? 1 : 0;
  return row;
}

void put_named(const RowDraw& draw, TouchedToken* to) {
  for (size_t i = 0; i < draw.named.size(); ++i) {
    const float bias = draw.biases[i];
    to[i] = {draw.named[i], draw.counts[i], bias, bias != 0.0F ? 1 : 0};
  }
}

// Whether no float of one is a float of the other.
bool are_apart(const Rows& a, const Rows& b) {
  const auto end = [](const Rows& rows) {
    return rows.data + (rows.n - 1) * rows.stride + rows.width;
  };
  return std::less_equal<>()(end(a), b.data) || std::less_equal<>()(end(b), a.data);
}

// The rope of the call whose rows are the keys of all places, in their order; -1: none.
int rope_of_keys(const RotateCall& call, const KvWriteParams& write,
                 std::span<const WritePlace> places) {
  for (int i = 0; i < call.n_ropes; ++i) {
    const RopeParams& rope = call.ropes[static_cast<size_t>(i)].op;
    const bool fits = rope.n_heads == write.n_kv_heads && rope.head_stride == write.k_dim &&
                      rope.x.stride == write.k.stride &&
                      rope.x.n == places.back().first_row + places.back().n_tokens;
    if (fits && std::all_of(places.begin(), places.end(), [&](const WritePlace& place) {
          return place.k == rope.x.data + place.first_row * rope.x.stride;
        })) {
      return i;
    }
  }
  return -1;
}

}  // namespace

// Every op comes here after its launch, so what the next one needs to know of the one before is
// forgotten here, unless it is told afterwards.
void CudaOps::check(cudaError_t error, std::string_view what) {
  beside_ = {};
  rotated_.n_ropes = 0;
  if (error == cudaSuccess || error_ != cudaSuccess) return;
  error_ = error;
  failed_ = what;
}

Result<void> CudaOps::finish() {
  check(queue_.end_step(), "the pass");
  if (error_ == cudaSuccess) return {};
  const cudaError_t error = error_;
  error_ = cudaSuccess;
  return tl::unexpected(make_cuda_error(error, failed_));
}

std::byte* CudaOps::scratch(size_t bytes, std::string_view what) {
  std::byte* const at = scratch_.get(bytes, queue_);
  if (at == nullptr) check(cudaErrorMemoryAllocation, what);
  return at;
}

// ---- products ----------------------------------------------------------------------------------

QuantizedRows CudaOps::quantize(const ConstRows& x, int64_t n_inner, int64_t inner_stride,
                                int64_t width, std::byte* to) {
  QuantizeParams params;
  params.x = x;
  params.n_inner = n_inner;
  params.inner_stride = inner_stride;
  params.width = width;
  params.out = lay_out(to, x.n * n_inner * width);
  check(launch_quantize(params, queue_), "quantize");
  return params.out;
}

QuantizedRows CudaOps::beside(const Rows& y) {
  if (!quantizes_ || y.n == 0 || y.width % 32 != 0) return {};
  std::byte* const to = scratch(quantized_bytes(y.n, y.width), "scratch of products");
  return to == nullptr ? QuantizedRows{} : lay_out(to, y.n * y.width);
}

QuantizedRows CudaOps::int8_rows(const ConstRows& x, size_t bytes) {
  quantizes_ = true;
  if (beside_.quantized.q != nullptr && same_rows(beside_.rows, x) && bytes <= scratch_.size()) {
    return beside_.quantized;
  }
  std::byte* const to = scratch(bytes, "scratch of products");
  return to == nullptr ? QuantizedRows{} : quantize(x, 1, 0, x.width, to);
}

void CudaOps::launch_all(std::span<ProductParams> products, std::string_view what) {
  std::stable_sort(products.begin(), products.end(),
                   [](const auto& a, const auto& b) { return a.weight.type < b.weight.type; });
  while (!products.empty()) {
    const auto fits = [&](size_t n) {
      const auto before = products.first(n);
      return n < kMaxProducts && products[n].weight.type == products[0].weight.type &&
             std::none_of(before.begin(), before.end(),
                          [&](const ProductParams& p) { return p.y == products[n].y; });
    };
    size_t n = 1;
    while (n < products.size() && fits(n)) ++n;
    check(launch_products(products.first(n), queue_), what);
    products = products.subspan(n);
  }
}

ProductForm CudaOps::form_of(const MatmulParams& params) const {
  if (params.x.n <= kDecodeRows) return ProductForm::kMma;
  if (form_) return *form_;
  int64_t n_out = 0;
  for (const MatmulOutput& output : params.outputs) n_out += output.weight.n_out;
  return product_form(capability_, params.x.n, n_out);
}

void CudaOps::matmul(const MatmulParams& params) {
  const ConstRows& x = params.x;
  if (x.n == 0) return;
  const bool any_blocks = std::any_of(params.outputs.begin(), params.outputs.end(),
                                      [](const auto& output) { return !is_float(output.weight); });
  QuantizedRows rows;
  std::byte* packed = nullptr;
  if (any_blocks) {
    const size_t bytes = quantized_bytes(x.n, x.width);
    const size_t more =
        form_of(params) == ProductForm::kWarpGroups ? packed_bytes(x.n, x.width) : 0;
    rows = int8_rows(x, bytes + more);
    if (rows.q == nullptr) return;
    if (more > 0) {
      packed = reinterpret_cast<std::byte*>(rows.q) + bytes;
      check(launch_pack({rows, x.n, x.width, packed}, queue_), "packing");
    }
  }
  std::vector<ProductParams> products;
  products.reserve(params.outputs.size());
  for (const MatmulOutput& output : params.outputs) {
    products.push_back(product_of(output, x, rows));
    if (!is_float(output.weight)) products.back().packed = packed;
  }
  launch_all(products, "matmul");
}

// Of few tokens gate, up and the activation are one launch.
void CudaOps::feed_forward(const FeedForwardParams& params) {
  if (!is_gated_pair(params)) {
    Ops::feed_forward(params);
    return;
  }
  const ConstRows& x = params.x;
  const MatmulOutput& gate = params.inner[0];
  const MatmulOutput& up = params.inner[1];
  const Rows& y = params.activation.y;
  const size_t read = is_float(gate.weight) ? 0 : quantized_bytes(x.n, x.width);
  const size_t written = is_float(params.down.weight) ? 0 : quantized_bytes(y.n, y.width);
  QuantizedRows rows;
  std::byte* to = nullptr;  // where the activation is left in int8
  if (read > 0) {
    rows = int8_rows(x, read + written);
    if (rows.q == nullptr) return;
    to = reinterpret_cast<std::byte*>(rows.q) + read;
  } else if (written > 0) {
    to = scratch(written, "scratch of products");
    if (to == nullptr) return;
  }
  const QuantizedRows hidden = written > 0 ? lay_out(to, y.n * y.width) : QuantizedRows{};
  check(launch_gated_products(product_of(gate, x, rows), product_of(up, x, rows), params.activation,
                              hidden, queue_),
        "feed_forward");
  beside_ = {y, hidden};
  matmul({.x = y, .outputs = {&params.down, 1}});
}

void CudaOps::expert_matmul(const ExpertMatmulParams& params) {
  if (params.n_pairs == 0 || params.outputs.empty()) return;
  const bool any_blocks = std::any_of(params.outputs.begin(), params.outputs.end(),
                                      [](const auto& output) { return !is_float(output.weight); });
  const size_t quantized = any_blocks ? quantized_bytes(params.x.n, params.x.width) : 0;
  std::byte* const at = scratch(quantized + pairs_bytes(params.n_pairs), "scratch of experts");
  if (at == nullptr) return;
  auto* const lists = reinterpret_cast<int32_t*>(at + quantized);
  const auto n_experts = static_cast<int32_t>(params.outputs[0].weight.n_matrices);
  GroupPairsParams group;
  group.experts = params.experts;
  group.n_pairs = params.n_pairs;
  group.n_experts = n_experts;
  group.pairs_per_row = params.pairs_per_row;
  group.x_rows = lists;
  group.y_rows = lists + params.n_pairs;
  group.jobs = reinterpret_cast<ProductJob*>(
      at + quantized + aligned(2 * static_cast<size_t>(params.n_pairs) * sizeof(int32_t)));
  group.n_jobs =
      static_cast<int32_t>(std::min<int64_t>(params.n_pairs, static_cast<int64_t>(n_experts)));
  check(launch_group_pairs(group, queue_), "grouping by experts");
  ProductParams p;
  if (any_blocks) p.rows = quantize(params.x, 1, 0, params.x.width, at);
  p.x = params.x.data;
  p.x_stride = params.x.stride;
  p.x_rows = group.x_rows;
  p.y_rows = group.y_rows;
  p.jobs = group.jobs;
  p.n_jobs = group.n_jobs;
  p.max_count = static_cast<int32_t>(std::min(params.max_per_expert, params.n_pairs));
  std::vector<ProductParams> products;
  products.reserve(params.outputs.size());
  for (const ExpertMatmulOutput& output : params.outputs) {
    p.weight = output.weight;
    p.bias = output.bias;
    p.bias_matrix_stride = output.weight.n_out;
    p.scale = output.scale;
    p.scale_matrix_stride = 1;
    p.y = output.y;
    p.y_stride = output.y_stride;
    products.push_back(p);
  }
  launch_all(products, "expert_matmul");
}

void CudaOps::head_matmul(const HeadMatmulParams& params) {
  const Weight& weight = params.weight;
  if (params.x.n == 0) return;
  ProductParams p;
  p.weight = weight;
  if (!is_float(weight)) {
    std::byte* const to = scratch(quantized_bytes(params.x.n * weight.n_matrices, weight.n_in),
                                  "scratch of products");
    if (to == nullptr) return;
    p.rows = quantize(params.x, weight.n_matrices, params.x_head_stride, weight.n_in, to);
  }
  p.n_inner = weight.n_matrices;
  p.x = params.x.data;
  p.x_stride = params.x.stride;
  p.x_matrix_stride = params.x_head_stride;
  p.job.count = static_cast<int32_t>(params.x.n);
  p.n_jobs = static_cast<int32_t>(weight.n_matrices);
  p.max_count = p.job.count;
  p.y = params.y.data;
  p.y_stride = params.y.stride;
  p.y_matrix_stride = params.y_head_stride;
  check(launch_products(std::span(&p, 1), queue_), "head_matmul");
}

void CudaOps::embed(const EmbedParams& params) {
  const int32_t* const ids = upload(params.ids.data(), params.ids.size());
  if (ids == nullptr) return;
  check(launch_embed(params, ids, static_cast<int64_t>(params.ids.size()), queue_), "embed");
}

// ---- rows --------------------------------------------------------------------------------------

void CudaOps::norm(const NormParams& params) {
  const bool whole_rows = params.group == params.x.width;
  const QuantizedRows quantized = whole_rows ? beside(params.y) : QuantizedRows{};
  check(launch_norm(params, quantized, queue_), "norm");
  beside_ = {params.y, quantized};
}

void CudaOps::gated_activation(const GatedActivationParams& params) {
  const QuantizedRows quantized = beside(params.y);
  check(launch_gated_activation(params, quantized, queue_), "gated_activation");
  beside_ = {params.y, quantized};
}
void CudaOps::add(const AddParams& params) { check(launch_add(params, queue_), "add"); }
void CudaOps::multiply(const MultiplyParams& params) {
  check(launch_multiply(params, queue_), "multiply");
}
void CudaOps::scale(const ScaleParams& params) { check(launch_scale(params, queue_), "scale"); }
void CudaOps::group_dot(const GroupDotParams& params) {
  check(launch_group_dot(params, queue_), "group_dot");
}
void CudaOps::mix_rows(const MixRowsParams& params) {
  check(launch_mix_rows(params, queue_), "mix_rows");
}

// ---- rotation and attention --------------------------------------------------------------------

// Ropes one after the other, and the writing of what they rotated, are one launch: the later one
// takes the launch before it back and does its work too.
void CudaOps::rotate(const RotateCall& call, std::string_view what) {
  check(launch_rotate(call, queue_), what);
  rotated_ = call;
  if (call.write.places != nullptr) rotated_.n_ropes = 0;  // nothing joins it any more
}

void CudaOps::rope(const RopeParams& params) {
  if (params.x.n == 0) return;
  const int32_t* const positions = upload(params.positions.data(), params.positions.size());
  if (positions == nullptr) return;
  RotateCall call;
  const RopeParams& before = rotated_.ropes[0].op;
  if (rotated_.n_ropes == 1 && before.x.n == params.x.n && are_apart(before.x, params.x) &&
      queue_.take_back()) {
    call = rotated_;
  }
  call.ropes[static_cast<size_t>(call.n_ropes++)] = {params, positions};
  rotate(call, "rope");
}

void CudaOps::kv_write(std::span<const KvWriteParams> sequences) {
  std::vector<WritePlace> places;
  RotateCall call;
  int64_t n_tokens = 0;
  for (const KvWriteParams& params : sequences) {
    if (params.k.n == 0) continue;
    places.push_back({.k = params.k.data,
                      .v = params.v.data,
                      .k_pages = upload(params.pages.k_pages.data(), params.pages.k_pages.size()),
                      .v_pages = upload(params.pages.v_pages.data(), params.pages.v_pages.size()),
                      .first_row = n_tokens,
                      .first_position = params.first_position,
                      .n_tokens = params.k.n});
    n_tokens += params.k.n;
    call.write.max_tokens = std::max(call.write.max_tokens, params.k.n);
  }
  if (places.empty()) return;
  call.write.op = sequences[0];
  call.write.places = upload(places.data(), places.size());
  call.write.n_places = static_cast<int64_t>(places.size());
  if (call.write.places == nullptr) return;
  const int key_rope = rope_of_keys(rotated_, call.write.op, places);
  if (key_rope >= 0 && queue_.take_back()) {
    call.ropes = rotated_.ropes;
    call.n_ropes = rotated_.n_ropes;
    call.key_rope = key_rope;
  }
  rotate(call, "kv_write");
}

// Texts of many tokens and of few are different launches; of few, so many that their partial
// results have room.
void CudaOps::attention(std::span<const AttentionParams> sequences) {
  while (!sequences.empty()) {
    int64_t n_split = 0;
    size_t n = 0;
    for (; n < sequences.size(); ++n) {
      const int64_t more = sequences[n].q.n <= kSplitTokens ? sequences[n].q.n : 0;
      if (n_split + more > kMaxSplitRows) break;
      n_split += more;
    }
    attend(sequences.first(n), true);
    attend(sequences.first(n), false);
    sequences = sequences.subspan(n);
  }
}

// The sequences that are split, or the others.
void CudaOps::attend(std::span<const AttentionParams> sequences, bool split) {
  std::vector<AttendPlace> places;
  AttendCall call;
  Rows y;  // of all places, while they lie side by side; else n is 0
  for (const AttentionParams& params : sequences) {
    if (params.q.n == 0 || (params.q.n <= kSplitTokens) != split) continue;
    AttendPlace place{.q = params.q.data,
                      .y = params.y.data,
                      .k_pages = upload(params.pages.k_pages.data(), params.pages.k_pages.size()),
                      .v_pages = upload(params.pages.v_pages.data(), params.pages.v_pages.size()),
                      .first_position = params.first_position,
                      .n_tokens = params.q.n,
                      .n_keys = params.n_keys,
                      .first_row = call.n_tokens};
    set_segments(params, place);
    if (places.empty()) y = {params.y.data, 0, params.y.width, params.y.stride};
    y.n = params.y.data == y.data + call.n_tokens * y.stride ? call.n_tokens + params.q.n : 0;
    call.max_tokens = std::max(call.max_tokens, params.q.n);
    call.max_segments = std::max(call.max_segments, place.last_segment - place.first_segment + 1);
    call.n_tokens += params.q.n;
    places.push_back(place);
  }
  if (places.empty()) return;
  call.op = sequences[0];
  if (split) {
    const bool quantizes = quantizes_ && y.n == call.n_tokens && call.op.v_dim % 32 == 0;
    const size_t quantized = quantizes ? quantized_bytes(y.n, y.width) : 0;
    const int64_t floats = attention_scratch_floats(call.n_tokens, call.op.n_heads, call.op.v_dim);
    std::byte* const at =
        scratch(quantized + static_cast<size_t>(floats) * sizeof(float), "scratch of attention");
    if (at == nullptr) return;
    if (quantizes) call.quantized = lay_out(at, y.n * y.width);
    call.scratch = reinterpret_cast<float*>(at + quantized);
  }
  call.places = upload(places.data(), places.size());
  call.n_places = static_cast<int64_t>(places.size());
  if (call.places == nullptr) return;
  check(launch_attention(call, queue_), "attention");
  beside_ = {y, call.quantized};
}

// ---- experts and recurrent mixers --------------------------------------------------------------

void CudaOps::route(const RouteParams& params) { check(launch_route(params, queue_), "route"); }
void CudaOps::combine_experts(const CombineExpertsParams& params) {
  check(launch_combine_experts(params, queue_), "combine_experts");
}
void CudaOps::causal_conv(const CausalConvParams& params) {
  check(launch_causal_conv(params, queue_), "causal_conv");
}
void CudaOps::state_space(const StateSpaceParams& params) {
  check(launch_state_space(params, queue_), "state_space");
}
void CudaOps::delta_rule(const DeltaRuleParams& params) {
  check(launch_delta_rule(params, queue_), "delta_rule");
}

// ---- the host's part ---------------------------------------------------------------------------

void CudaOps::find_best(const FindBestParams& params) {
  const int32_t* const named = upload(params.named.data(), params.named.size());
  if (named != nullptr || params.named.empty()) {
    check(launch_find_best(params, named, queue_), "find_best");
  }
}

// Numbers of named tokens that change little from step to step make steps that repeat.
void CudaOps::draw(const DrawParams& params) {
  int64_t n_best = 1, n_named = 0;
  for (const RowDraw& row : params.rows) {
    n_best = std::max(n_best, row.n_best());
    n_named = std::max(n_named, static_cast<int64_t>(row.named.size()));
  }
  n_best = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(n_best)));
  if (n_best > std::min(kMaxBest, params.x.width) || n_named > kMaxNamed) {
    check(cudaErrorInvalidValue, "draw");
    return;
  }
  if (n_named > 0) n_named = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(n_named)));
  std::vector<DrawnRow> rows;
  std::vector<TouchedToken> named(params.rows.size() * static_cast<size_t>(n_named));
  for (size_t i = 0; i < params.rows.size(); ++i) {
    rows.push_back(drawn_row(params.rows[i]));
    put_named(params.rows[i], named.data() + i * static_cast<size_t>(n_named));
  }
  DrawCall call;
  call.x = params.x;
  auto* const best =
      reinterpret_cast<int32_t*>(params.scratch + find_keys_bytes(params.x.n, params.x.width));
  call.best = best;
  call.n_best = n_best;
  call.rows = upload(rows.data(), rows.size());
  call.named = upload(named.data(), named.size());
  call.n_named = n_named;
  call.tokens = params.tokens;
  call.logits = params.logits;
  if (call.rows == nullptr || call.named == nullptr) return;
  find_best(
      {.x = params.x, .n_best = n_best, .named = {}, .columns = best, .scratch = params.scratch});
  check(launch_draw(call, queue_), "draw");
}

const float* CudaOps::send(std::span<const float> values) {
  return upload(values.data(), values.size());
}

}  // namespace llmrun::kernels::cuda
