#include "kernels/cpu/ops.h"

#include "kernels/ref/ref.h"

namespace llmrun::kernels::cpu {

size_t CpuOps::workspace_bytes(int64_t, int64_t) const { return 0; }
Result<void> CpuOps::reserve(int64_t, int64_t) { return {}; }

void CpuOps::matmul(const MatmulParams& p) {
  for (const MatmulOutput& output : p.outputs) {
    // One row of outputs per task: decoded once, used for all tokens.
    pool_.parallel_for(output.weight.n_out, [&](int64_t o) {
      MatmulOutput one = output;
      one.weight.data = output.weight.row(0, o);
      one.weight.n_out = 1;
      if (one.bias != nullptr) one.bias += o;
      one.y += o;
      MatmulParams part;
      part.x = p.x;
      part.outputs = std::span<const MatmulOutput>(&one, 1);
      ref::matmul(part);
    });
  }
}
void CpuOps::expert_matmul(const ExpertMatmulParams& p) { ref::expert_matmul(p); }
void CpuOps::head_matmul(const HeadMatmulParams& p) { ref::head_matmul(p); }
void CpuOps::embed(const EmbedParams& p) { ref::embed(p); }
void CpuOps::norm(const NormParams& p) { ref::norm(p); }
void CpuOps::rope(const RopeParams& p) { ref::rope(p); }
void CpuOps::gated_activation(const GatedActivationParams& p) { ref::gated_activation(p); }
void CpuOps::add(const AddParams& p) { ref::add(p); }
void CpuOps::multiply(const MultiplyParams& p) { ref::multiply(p); }
void CpuOps::scale(const ScaleParams& p) { ref::scale(p); }
void CpuOps::kv_write(const KvWriteParams& p) { ref::kv_write(p); }
void CpuOps::attention(const AttentionParams& p) { ref::attention(p); }
void CpuOps::route(const RouteParams& p) { ref::route(p); }
void CpuOps::combine_experts(const CombineExpertsParams& p) { ref::combine_experts(p); }

}  // namespace llmrun::kernels::cpu
