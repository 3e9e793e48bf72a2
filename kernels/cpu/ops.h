// The ops of the CPU backend: work divided among threads, kernels taken from the target's table.
#pragma once

#include <memory>

#include "base/thread_pool.h"
#include "kernels/backend.h"
#include "kernels/cpu/targets.h"
#include "kernels/ops.h"

namespace llmrun::kernels::cpu {

class CpuOps final : public Ops {
 public:
  CpuOps(const TargetTable& table, ThreadPool& pool) : table_(table), pool_(pool) {}

  [[nodiscard]] size_t workspace_bytes(int64_t max_tokens, int64_t max_width) const;
  Result<void> reserve(int64_t max_tokens, int64_t max_width);

  void matmul(const MatmulParams& params) override;
  void expert_matmul(const ExpertMatmulParams& params) override;
  void head_matmul(const HeadMatmulParams& params) override;
  void embed(const EmbedParams& params) override;
  void norm(const NormParams& params) override;
  void rope(const RopeParams& params) override;
  void gated_activation(const GatedActivationParams& params) override;
  void add(const AddParams& params) override;
  void multiply(const MultiplyParams& params) override;
  void scale(const ScaleParams& params) override;
  void kv_write(const KvWriteParams& params) override;
  void attention(const AttentionParams& params) override;
  void route(const RouteParams& params) override;
  void combine_experts(const CombineExpertsParams& params) override;

 private:
  const TargetTable& table_;
  ThreadPool& pool_;
};

}  // namespace llmrun::kernels::cpu
