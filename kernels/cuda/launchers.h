// The launchers of all device kernels. Each checks what it is given, queues its kernels on the
// stream and returns; pointers are device pointers, and spans of op parameters are not used (what
// they held comes beside, on the device).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "kernels/cuda/queue.h"
#include "kernels/find_best.h"
#include "kernels/ops.h"

namespace llmrun::kernels::cuda {

// ---- matmul.cu ---------------------------------------------------------------------------------

// Rows as integer kernels read them: int8 values and, for every 16 of them, their scale and the
// scale times their sum.
struct QuantizedRows {
  int8_t* q = nullptr;      // [n, width]
  float* scales = nullptr;  // [n, width / 16]
  float* sums = nullptr;    // [n, width / 16]
};
// Row t = outer * n_inner + inner of the result is the `width` values at x.data + outer * x.stride
// + inner * inner_stride.
struct QuantizeParams {
  ConstRows x;
  int64_t n_inner = 1;
  int64_t inner_stride = 0;
  int64_t width = 0;
  QuantizedRows out;
};
cudaError_t launch_quantize(const QuantizeParams& params, Queue& queue);

// The same rows in the pieces of product_forms.h: packed_bytes(n, width) at `out`.
struct PackParams {
  QuantizedRows rows;
  int64_t n = 0;
  int64_t width = 0;
  std::byte* out = nullptr;
};
cudaError_t launch_pack(const PackParams& params, Queue& queue);

// The rows of one matrix of a stack: entries [first, first + count) of the lists of rows.
struct ProductJob {
  int32_t matrix = 0;
  int32_t first = 0;
  int32_t count = 0;
};
// y[y_row(i), o] = scale * sum_k w[matrix, o, k] * x[x_row(i), k] + bias[o] (+ y) for all jobs.
struct ProductParams {
  Weight weight;
  QuantizedRows rows;                 // for block types
  const std::byte* packed = nullptr;  // the same rows, packed: they are multiplied by warp groups
  const float* x = nullptr;           // for float types
  int64_t x_stride = 0;
  int64_t x_matrix_stride = 0;       // added to x per matrix (heads side by side)
  int64_t n_inner = 1;               // quantised rows per row of x: row x_row * n_inner + matrix
  const int32_t* x_rows = nullptr;   // null: i
  const int32_t* y_rows = nullptr;   // null: i
  const ProductJob* jobs = nullptr;  // on the device; null: the one below, for each matrix
  ProductJob job;
  int32_t n_jobs = 1;
  int32_t max_count = 0;  // the largest count of a job
  const float* bias = nullptr;
  int64_t bias_matrix_stride = 0;
  const float* scale = nullptr;
  int64_t scale_matrix_stride = 0;
  float* y = nullptr;
  int64_t y_stride = 0;
  int64_t y_matrix_stride = 0;
  bool accumulate = false;
};
// At most kMaxProducts in one launch: of one tensor type, with the same jobs.
inline constexpr size_t kMaxProducts = 4;
cudaError_t launch_products(std::span<const ProductParams> products, Queue& queue);

// Two products of one shape and tensor type, of kDecodeRows rows at most, and act(gate) * up in one
// launch: `op` without its rows of gate and up, which are not stored. `quantized` as in rows.cu.
cudaError_t launch_gated_products(const ProductParams& gate, const ProductParams& up,
                                  const GatedActivationParams& op, const QuantizedRows& quantized,
                                  Queue& queue);

// params.ids is not used: `ids` holds n of them on the device.
cudaError_t launch_embed(const EmbedParams& params, const int32_t* ids, int64_t n, Queue& queue);

// ---- rows.cu -----------------------------------------------------------------------------------

// Some leave what they write quantised too, unless quantized.q is null. Groups and rows are then
// multiples of 32 values.
cudaError_t launch_norm(const NormParams& params, const QuantizedRows& quantized, Queue& queue);
cudaError_t launch_gated_activation(const GatedActivationParams& params,
                                    const QuantizedRows& quantized, Queue& queue);
cudaError_t launch_add(const AddParams& params, Queue& queue);
cudaError_t launch_multiply(const MultiplyParams& params, Queue& queue);
cudaError_t launch_scale(const ScaleParams& params, Queue& queue);
cudaError_t launch_group_dot(const GroupDotParams& params, Queue& queue);
cudaError_t launch_mix_rows(const MixRowsParams& params, Queue& queue);

// ---- experts.cu --------------------------------------------------------------------------------

cudaError_t launch_route(const RouteParams& params, Queue& queue);
cudaError_t launch_combine_experts(const CombineExpertsParams& params, Queue& queue);

// The pairs of a mixture of experts in the order of their experts: the rows of each, and a job for
// every expert that has any; what is left of the n_jobs jobs is empty.
struct GroupPairsParams {
  const int32_t* experts = nullptr;  // [n_pairs], each below n_experts
  int64_t n_pairs = 0;
  int32_t n_experts = 0;
  int64_t pairs_per_row = 1;
  int32_t* x_rows = nullptr;   // [n_pairs]
  int32_t* y_rows = nullptr;   // [n_pairs]
  ProductJob* jobs = nullptr;  // [n_jobs], at least as many as experts can have pairs
  int32_t n_jobs = 0;
};
cudaError_t launch_group_pairs(const GroupPairsParams& params, Queue& queue);

// ---- rope.cu -----------------------------------------------------------------------------------

struct RopeCall {
  RopeParams op;  // its positions are not used
  const int32_t* positions = nullptr;
};
// What differs from sequence to sequence of a call; it lies on the device.
struct WritePlace {
  const float* k = nullptr;
  const float* v = nullptr;
  std::byte* const* k_pages = nullptr;
  std::byte* const* v_pages = nullptr;
  int64_t first_row = 0;  // of the rows that are rotated
  int64_t first_position = 0;
  int64_t n_tokens = 0;
};
struct WriteCall {
  // What the sequences have in common; its rows, pages and positions are not used.
  KvWriteParams op;
  const WritePlace* places = nullptr;  // null: nothing is written
  int64_t n_places = 0;
  int64_t max_tokens = 0;  // of a place
};
// Rotates rows, of one number and apart from each other, and writes keys and values, in one launch.
struct RotateCall {
  std::array<RopeCall, 2> ropes;
  int n_ropes = 0;
  WriteCall write;
  // The rope whose rows, all of them, are the keys: its heads are those of the cache. -1: none.
  int key_rope = -1;
};
cudaError_t launch_rotate(const RotateCall& call, Queue& queue);

// ---- attention.cu ------------------------------------------------------------------------------

// What differs from sequence to sequence of a call; it lies on the device.
struct AttendPlace {
  const float* q = nullptr;
  float* y = nullptr;
  const std::byte* const* k_pages = nullptr;
  const std::byte* const* v_pages = nullptr;
  int64_t first_position = 0;
  int64_t n_tokens = 0;
  int64_t n_keys = 0;
  int64_t first_row = 0;                        // among the tokens of the call's sequences
  int64_t first_segment = 0, last_segment = 0;  // that any of its queries sees
};

struct AttendCall {
  // What the sequences have in common; its rows, pages and positions are not used.
  AttentionParams op;
  const AttendPlace* places = nullptr;
  int64_t n_places = 0;
  int64_t max_tokens = 0;  // of a place
  // A block walks the whole context when there is no scratch. Else segments are divided among
  // blocks; the places have kMaxSplitRows tokens together at most.
  float* scratch = nullptr;  // attention_scratch_floats()
  int64_t n_tokens = 0;      // of all places
  int64_t max_segments = 0;  // of a place
  // With scratch: the outputs of all tokens quantised too, unless q is null. v_dim is then a
  // multiple of 32.
  QuantizedRows quantized;
};
cudaError_t launch_attention(const AttendCall& call, Queue& queue);
// The segments that the queries of a sequence see, for its place.
void set_segments(const AttentionParams& op, AttendPlace& place);

// ---- recurrent.cu ------------------------------------------------------------------------------

cudaError_t launch_causal_conv(const CausalConvParams& params, Queue& queue);
cudaError_t launch_state_space(const StateSpaceParams& params, Queue& queue);
cudaError_t launch_delta_rule(const DeltaRuleParams& params, Queue& queue);

// ---- best.cu -----------------------------------------------------------------------------------

// params.named is not used: `named` holds it on the device.
cudaError_t launch_find_best(const FindBestParams& params, const int32_t* named, Queue& queue);

// ---- draw.cu -----------------------------------------------------------------------------------

// Sampling options of a row, with what the host computes of them.
struct DrawnRow {
  double uniform = 0.0;
  double log_min_p = 0.0;
  float temperature = 1.0F;  // 1: off
  float top_p = 1.0F;        // 1: off
  float repeat_penalty = 1.0F;
  float frequency_penalty = 0.0F;
  float presence_penalty = 0.0F;
  int32_t n_kept = 1;  // of the sorted candidates: top-k
  int32_t n_named = 0;
  int32_t has_min_p = 0;
  int32_t is_greedy = 0;
};
// A token whose logit changes, as RowDraw has it.
struct TouchedToken {
  int32_t id = 0;
  int32_t count = 0;
  float bias = 0.0F;
  int32_t has_bias = 0;
};
// All but x, tokens and logits lies on the device already; of the named of a row the first
// rows[i].n_named count. n_best is at least each row's n_kept + n_named.
struct DrawCall {
  ConstRows x;
  const int32_t* best = nullptr;  // [n, n_best], columns
  int64_t n_best = 0;
  const DrawnRow* rows = nullptr;       // [n]
  const TouchedToken* named = nullptr;  // [n, n_named]
  int64_t n_named = 0;
  int32_t* tokens = nullptr;  // [n]
  float* logits = nullptr;    // [n]
};
cudaError_t launch_draw(const DrawCall& call, Queue& queue);

}  // namespace llmrun::kernels::cuda
