#include "kernels/cpu/ops.h"

#include "base/error.h"
#include "kernels/ref/ref.h"

namespace llmrun::kernels::cpu {

size_t CpuOps::workspace_bytes(int64_t max_tokens, int64_t max_width) const {
  const int64_t tile = table_.matmul->tile_tokens;
  const auto n_tiles = static_cast<size_t>((max_tokens + tile - 1) / tile);
  return n_tiles * tile_bytes(max_width + 31) +
         static_cast<size_t>(pool_.n_threads()) * table_.matmul->product_scratch;
}

Result<void> CpuOps::reserve(int64_t max_tokens, int64_t max_width) {
  const int64_t tile = table_.matmul->tile_tokens;
  const auto n_tiles = static_cast<size_t>((max_tokens + tile - 1) / tile);
  LLMRUN_TRY(activations_.reserve(n_tiles * tile_bytes(max_width + 31)));
  return scratch_.reserve(static_cast<size_t>(pool_.n_threads()) *
                          table_.matmul->product_scratch);
}

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
