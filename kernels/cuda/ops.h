// The ops of the CUDA backend: what the contract gives on the host (ids, page tables, expert pairs)
// is sent ahead, then the launchers queue kernels. An op that fails is remembered and
// reported by finish().
#pragma once

#include <optional>
#include <string_view>

#include "kernels/cuda/launchers.h"
#include "kernels/cuda/memory.h"
#include "kernels/draw.h"
#include "kernels/ops.h"

namespace llmrun::kernels::cuda {

class CudaOps final : public Ops {
 public:
  // The capability of the card (90: 9.0), and the form of products whatever the table says.
  CudaOps(Queue& queue, int capability, std::optional<ProductForm> form)
      : queue_(queue), capability_(capability), form_(form) {}

  [[nodiscard]] size_t workspace_bytes(int64_t max_tokens, int64_t max_width) const {
    return cuda::workspace_bytes(max_tokens, max_width) + more_scratch(max_tokens, max_width);
  }
  Result<void> reserve(int64_t max_tokens, int64_t max_width) {
    return scratch_.reserve(scratch_bytes(max_tokens, max_width) +
                            more_scratch(max_tokens, max_width));
  }
  void check(cudaError_t error, std::string_view what);
  // An op that is none of the contract's.
  void add_launch(const Launch& launch, const void* params, std::string_view what) {
    check(queue_.add(launch, params), what);
  }
  [[nodiscard]] Queue& queue() { return queue_; }
  // Waits for all that was queued. The first error since the last call.
  Result<void> finish();

  void matmul(const MatmulParams& params) override;
  void expert_matmul(const ExpertMatmulParams& params) override;
  void head_matmul(const HeadMatmulParams& params) override;
  void embed(const EmbedParams& params) override;
  void norm(const NormParams& params) override;
  void rope(const RopeParams& params) override;
  void gated_activation(const GatedActivationParams& params) override;
  void feed_forward(const FeedForwardParams& params) override;
  void add(const AddParams& params) override;
  void multiply(const MultiplyParams& params) override;
  void scale(const ScaleParams& params) override;
  void group_dot(const GroupDotParams& params) override;
  void mix_rows(const MixRowsParams& params) override;
  void kv_write(std::span<const KvWriteParams> sequences) override;
  void attention(std::span<const AttentionParams> sequences) override;
  void route(const RouteParams& params) override;
  void combine_experts(const CombineExpertsParams& params) override;
  void causal_conv(const CausalConvParams& params) override;
  void state_space(const StateSpaceParams& params) override;
  void delta_rule(const DeltaRuleParams& params) override;
  const float* send(std::span<const float> values) override;
  void find_best(const FindBestParams& params);
  void draw(const DrawParams& params);

 private:
  // Null (and an error is remembered) when there is no memory.
  std::byte* scratch(size_t bytes, std::string_view what);
  // For a form that the table would not have taken.
  [[nodiscard]] size_t more_scratch(int64_t max_tokens, int64_t max_width) const {
    return form_ == ProductForm::kWarpGroups ? packed_bytes(max_tokens, max_width + 31) : 0;
  }
  [[nodiscard]] ProductForm form_of(const MatmulParams& params) const;
  // Rows that the last op wrote, and their quantised form, which it left in the scratch.
  struct Beside {
    ConstRows rows;
    QuantizedRows quantized;
  };
  void rotate(const RotateCall& call, std::string_view what);
  // int8 values, scales and sums, one behind the other in quantized_bytes() at `at`.
  static QuantizedRows lay_out(std::byte* at, int64_t n_values);
  // Where an op that writes `y` shall leave it quantised; nowhere when no product wants it so.
  QuantizedRows beside(const Rows& y);
  // x in int8, in the first of `bytes` bytes of scratch: as the last op left it, or made now. Null
  // (and an error is remembered) when there is no memory.
  QuantizedRows int8_rows(const ConstRows& x, size_t bytes);
  // In launches of weights of one type.
  void launch_all(std::span<ProductParams> products, std::string_view what);
  // Quantises x into quantized_bytes() of scratch.
  QuantizedRows quantize(const ConstRows& x, int64_t n_inner, int64_t inner_stride, int64_t width,
                         std::byte* to);
  template <typename T>
  const T* upload(const T* data, size_t n) {
    return queue_.put(data, n);
  }
  void attend(std::span<const AttentionParams> sequences, bool split);

  Queue& queue_;
  int capability_;
  std::optional<ProductForm> form_;
  DeviceScratch scratch_;
  Beside beside_;
  RotateCall rotated_;      // by the last op; without ropes: it was another one
  bool quantizes_ = false;  // a product was seen whose weights are blocks
  cudaError_t error_ = cudaSuccess;
  std::string_view failed_;
};

}  // namespace llmrun::kernels::cuda
