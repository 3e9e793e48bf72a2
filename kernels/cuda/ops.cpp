// From the op contract to launchers.
#include "kernels/cuda/ops.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/sizes.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels::cuda {
namespace {

bool is_float(const Weight& weight) { return quant::traits(weight.type).is_float; }

}  // namespace

void CudaOps::check(cudaError_t error, std::string_view what) {
  if (error == cudaSuccess || error_ != cudaSuccess) return;
  error_ = error;
  failed_ = what;
}

Result<void> CudaOps::finish() {
  check(upload_.status(), "sending arrays");
  check(cudaStreamSynchronize(stream_), "the pass");
  upload_.clear();
  if (error_ == cudaSuccess) return {};
  const cudaError_t error = error_;
  error_ = cudaSuccess;
  return tl::unexpected(make_cuda_error(error, failed_));
}

// ---- products ----------------------------------------------------------------------------------

QuantizedRows CudaOps::quantize(const ConstRows& x, int64_t n_inner, int64_t inner_stride,
                                int64_t width) {
  const int64_t n_rows = x.n * n_inner;
  std::byte* at = scratch_.get(quantized_bytes(n_rows, width), stream_);
  if (at == nullptr) {
    check(cudaErrorMemoryAllocation, "scratch of products");
    return {};
  }
  const auto n = static_cast<size_t>(n_rows * width);
  QuantizeParams params;
  params.x = x;
  params.n_inner = n_inner;
  params.inner_stride = inner_stride;
  params.width = width;
  params.out.q = reinterpret_cast<int8_t*>(at);
  at += aligned(n);
  params.out.scales = reinterpret_cast<float*>(at);
  at += aligned(n / 16 * sizeof(float));
  params.out.sums = reinterpret_cast<float*>(at);
  check(launch_quantize(params, stream_), "quantize");
  return params.out;
}

void CudaOps::matmul(const MatmulParams& params) {
  const ConstRows& x = params.x;
  if (x.n == 0) return;
  QuantizedRows rows;
  const bool any_blocks = std::any_of(params.outputs.begin(), params.outputs.end(),
                                      [](const auto& output) { return !is_float(output.weight); });
  if (any_blocks) rows = quantize(x, 1, 0, x.width);
  if (any_blocks && rows.q == nullptr) return;
  for (const MatmulOutput& output : params.outputs) {
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
    check(launch_product(p, stream_), "matmul");
  }
}

void CudaOps::expert_matmul(const ExpertMatmulParams& params) {
  if (params.pairs.empty() || params.outputs.empty()) return;
  // The pairs in the order of their experts, and one job per expert that has any.
  std::vector<ExpertPair> pairs(params.pairs.begin(), params.pairs.end());
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const ExpertPair& a, const ExpertPair& b) { return a.expert < b.expert; });
  std::vector<int32_t> x_rows, y_rows;
  std::vector<ProductJob> jobs;
  int32_t max_count = 0;
  for (const ExpertPair& pair : pairs) {
    if (jobs.empty() || jobs.back().matrix != pair.expert) {
      jobs.push_back({pair.expert, static_cast<int32_t>(x_rows.size()), 0});
    }
    max_count = std::max(max_count, ++jobs.back().count);
    x_rows.push_back(pair.x_row);
    y_rows.push_back(pair.y_row);
  }
  QuantizedRows rows;
  const bool any_blocks = std::any_of(params.outputs.begin(), params.outputs.end(),
                                      [](const auto& output) { return !is_float(output.weight); });
  if (any_blocks) rows = quantize(params.x, 1, 0, params.x.width);
  if (any_blocks && rows.q == nullptr) return;
  ProductParams p;
  p.rows = rows;
  p.x = params.x.data;
  p.x_stride = params.x.stride;
  p.x_rows = upload(x_rows.data(), x_rows.size());
  p.y_rows = upload(y_rows.data(), y_rows.size());
  p.jobs = upload(jobs.data(), jobs.size());
  p.n_jobs = static_cast<int32_t>(jobs.size());
  p.max_count = max_count;
  if (p.x_rows == nullptr || p.y_rows == nullptr || p.jobs == nullptr) return;
  for (const ExpertMatmulOutput& output : params.outputs) {
    p.weight = output.weight;
    p.bias = output.bias;
    p.bias_matrix_stride = output.weight.n_out;
    p.scale = output.scale;
    p.scale_matrix_stride = 1;
    p.y = output.y;
    p.y_stride = output.y_stride;
    check(launch_product(p, stream_), "expert_matmul");
  }
}

void CudaOps::head_matmul(const HeadMatmulParams& params) {
  const Weight& weight = params.weight;
  if (params.x.n == 0) return;
  ProductParams p;
  p.weight = weight;
  if (!is_float(weight)) {
    p.rows = quantize(params.x, weight.n_matrices, params.x_head_stride, weight.n_in);
    if (p.rows.q == nullptr) return;
  }
  p.n_inner = weight.n_matrices;
  p.x = params.x.data;
  p.x_stride = params.x.stride;
  p.x_matrix_stride = params.x_head_stride;
  std::vector<ProductJob> jobs;
  for (int64_t h = 0; h < weight.n_matrices; ++h) {
    jobs.push_back({static_cast<int32_t>(h), 0, static_cast<int32_t>(params.x.n)});
  }
  p.jobs = upload(jobs.data(), jobs.size());
  if (p.jobs == nullptr) return;
  p.n_jobs = static_cast<int32_t>(jobs.size());
  p.max_count = static_cast<int32_t>(params.x.n);
  p.y = params.y.data;
  p.y_stride = params.y.stride;
  p.y_matrix_stride = params.y_head_stride;
  check(launch_product(p, stream_), "head_matmul");
}

void CudaOps::embed(const EmbedParams& params) {
  const int32_t* const ids = upload(params.ids.data(), params.ids.size());
  if (ids == nullptr) return;
  check(launch_embed(params, ids, static_cast<int64_t>(params.ids.size()), stream_), "embed");
}

// ---- rows --------------------------------------------------------------------------------------

void CudaOps::norm(const NormParams& params) { check(launch_norm(params, stream_), "norm"); }
void CudaOps::rope(const RopeParams& params) {
  const int32_t* const positions = upload(params.positions.data(), params.positions.size());
  if (positions != nullptr) check(launch_rope(params, positions, stream_), "rope");
}
void CudaOps::gated_activation(const GatedActivationParams& params) {
  check(launch_gated_activation(params, stream_), "gated_activation");
}
void CudaOps::add(const AddParams& params) { check(launch_add(params, stream_), "add"); }
void CudaOps::multiply(const MultiplyParams& params) {
  check(launch_multiply(params, stream_), "multiply");
}
void CudaOps::scale(const ScaleParams& params) { check(launch_scale(params, stream_), "scale"); }
void CudaOps::group_dot(const GroupDotParams& params) {
  check(launch_group_dot(params, stream_), "group_dot");
}
void CudaOps::mix_rows(const MixRowsParams& params) {
  check(launch_mix_rows(params, stream_), "mix_rows");
}

// ---- attention ---------------------------------------------------------------------------------

void CudaOps::kv_write(std::span<const KvWriteParams> sequences) {
  for (const KvWriteParams& params : sequences) {
    const auto* const k = upload(params.pages.k_pages.data(), params.pages.k_pages.size());
    const auto* const v = upload(params.pages.v_pages.data(), params.pages.v_pages.size());
    if (k == nullptr || v == nullptr) return;
    check(launch_kv_write(params, k, v, stream_), "kv_write");
  }
}

void CudaOps::attention(std::span<const AttentionParams> sequences) {
  for (const AttentionParams& params : sequences) {
    const auto* const k = upload(params.pages.k_pages.data(), params.pages.k_pages.size());
    const auto* const v = upload(params.pages.v_pages.data(), params.pages.v_pages.size());
    if (k == nullptr || v == nullptr) return;
    const int64_t floats = attention_scratch_floats(params.q.n, params.n_heads, params.v_dim);
    float* const scratch = reinterpret_cast<float*>(
        scratch_.get(static_cast<size_t>(floats) * sizeof(float), stream_));
    if (scratch == nullptr && floats > 0) {
      check(cudaErrorMemoryAllocation, "scratch of attention");
      return;
    }
    check(launch_attention(params, k, v, scratch, stream_), "attention");
  }
}

// ---- experts and recurrent mixers --------------------------------------------------------------

void CudaOps::route(const RouteParams& params) { check(launch_route(params, stream_), "route"); }
void CudaOps::combine_experts(const CombineExpertsParams& params) {
  check(launch_combine_experts(params, stream_), "combine_experts");
}
void CudaOps::causal_conv(const CausalConvParams& params) {
  check(launch_causal_conv(params, stream_), "causal_conv");
}
void CudaOps::state_space(const StateSpaceParams& params) {
  check(launch_state_space(params, stream_), "state_space");
}
void CudaOps::delta_rule(const DeltaRuleParams& params) {
  check(launch_delta_rule(params, stream_), "delta_rule");
}

// ---- the host's part ---------------------------------------------------------------------------

void CudaOps::fetch(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "fetching results");
  check(cudaStreamSynchronize(stream_), "the pass");
}

const float* CudaOps::send(std::span<const float> values) {
  return upload(values.data(), values.size());
}

}  // namespace llmrun::kernels::cuda
