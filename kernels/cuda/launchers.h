// The launchers of all device kernels. Each checks what it is given, queues its kernels on the
// stream and returns; pointers are device pointers, and spans of op parameters are not used (what
// they held comes beside, on the device).
#pragma once

#include <cstdint>

#include "kernels/cuda/runtime.h"
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
cudaError_t launch_quantize(const QuantizeParams& params, cudaStream_t stream);

// The rows of one matrix of a stack: entries [first, first + count) of the lists of rows.
struct ProductJob {
  int32_t matrix = 0;
  int32_t first = 0;
  int32_t count = 0;
};
// y[y_row(i), o] = scale * sum_k w[matrix, o, k] * x[x_row(i), k] + bias[o] (+ y) for all jobs.
struct ProductParams {
  Weight weight;
  QuantizedRows rows;        // for block types
  const float* x = nullptr;  // for float types
  int64_t x_stride = 0;
  int64_t x_matrix_stride = 0;       // added to x per matrix (heads side by side)
  int64_t n_inner = 1;               // quantised rows per row of x: row x_row * n_inner + matrix
  const int32_t* x_rows = nullptr;   // null: i
  const int32_t* y_rows = nullptr;   // null: i
  const ProductJob* jobs = nullptr;  // on the device; null: the one below
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
cudaError_t launch_product(const ProductParams& params, cudaStream_t stream);

// params.ids is not used: `ids` holds n of them on the device.
cudaError_t launch_embed(const EmbedParams& params, const int32_t* ids, int64_t n,
                         cudaStream_t stream);

// ---- rows.cu -----------------------------------------------------------------------------------

cudaError_t launch_norm(const NormParams& params, cudaStream_t stream);
cudaError_t launch_rope(const RopeParams& params, const int32_t* positions, cudaStream_t stream);
cudaError_t launch_gated_activation(const GatedActivationParams& params, cudaStream_t stream);
cudaError_t launch_add(const AddParams& params, cudaStream_t stream);
cudaError_t launch_multiply(const MultiplyParams& params, cudaStream_t stream);
cudaError_t launch_scale(const ScaleParams& params, cudaStream_t stream);
cudaError_t launch_group_dot(const GroupDotParams& params, cudaStream_t stream);
cudaError_t launch_mix_rows(const MixRowsParams& params, cudaStream_t stream);

// ---- experts.cu --------------------------------------------------------------------------------

cudaError_t launch_route(const RouteParams& params, cudaStream_t stream);
cudaError_t launch_combine_experts(const CombineExpertsParams& params, cudaStream_t stream);

// ---- attention.cu ------------------------------------------------------------------------------

cudaError_t launch_kv_write(const KvWriteParams& params, std::byte* const* k_pages,
                            std::byte* const* v_pages, cudaStream_t stream);

// `scratch` has attention_scratch_floats() of sizes.h.
cudaError_t launch_attention(const AttentionParams& params, std::byte* const* k_pages,
                             std::byte* const* v_pages, float* scratch, cudaStream_t stream);

// ---- recurrent.cu ------------------------------------------------------------------------------

cudaError_t launch_causal_conv(const CausalConvParams& params, cudaStream_t stream);
cudaError_t launch_state_space(const StateSpaceParams& params, cudaStream_t stream);
cudaError_t launch_delta_rule(const DeltaRuleParams& params, cudaStream_t stream);

}  // namespace llmrun::kernels::cuda
