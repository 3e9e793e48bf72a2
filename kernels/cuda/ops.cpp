// From the op contract to launchers: what is a launch each, and the drawing of tokens. Products are
// in ops_products.cpp, attention in ops_attention.cpp.
#include "kernels/cuda/ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

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
