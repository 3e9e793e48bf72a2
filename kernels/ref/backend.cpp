// The reference ops behind the backend interface.
#include "kernels/backend.h"
#include "kernels/host_buffer.h"
#include "kernels/ref/ref.h"

namespace llmrun::kernels {
namespace {

class ReferenceOps final : public Ops {
 public:
  void matmul(const MatmulParams& p) override { ref::matmul(p); }
  void expert_matmul(const ExpertMatmulParams& p) override { ref::expert_matmul(p); }
  void head_matmul(const HeadMatmulParams& p) override { ref::head_matmul(p); }
  void embed(const EmbedParams& p) override { ref::embed(p); }
  void norm(const NormParams& p) override { ref::norm(p); }
  void rope(const RopeParams& p) override { ref::rope(p); }
  void gated_activation(const GatedActivationParams& p) override { ref::gated_activation(p); }
  void add(const AddParams& p) override { ref::add(p); }
  void multiply(const MultiplyParams& p) override { ref::multiply(p); }
  void scale(const ScaleParams& p) override { ref::scale(p); }
  void group_dot(const GroupDotParams& p) override { ref::group_dot(p); }
  void mix_rows(const MixRowsParams& p) override { ref::mix_rows(p); }
  void kv_write(std::span<const KvWriteParams> sequences) override {
    for (const KvWriteParams& p : sequences) ref::kv_write(p);
  }
  void attention(std::span<const AttentionParams> sequences) override {
    for (const AttentionParams& p : sequences) ref::attention(p);
  }
  void route(const RouteParams& p) override { ref::route(p); }
  void combine_experts(const CombineExpertsParams& p) override { ref::combine_experts(p); }
  void causal_conv(const CausalConvParams& p) override { ref::causal_conv(p); }
  void state_space(const StateSpaceParams& p) override { ref::state_space(p); }
  void delta_rule(const DeltaRuleParams& p) override { ref::delta_rule(p); }
};

class ReferenceBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }
  [[nodiscard]] std::string_view target() const override { return "reference"; }
  [[nodiscard]] int threads() const override { return 1; }
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes) override {
    return allocate_host_buffer(bytes);
  }
  Result<Weight> prepare(const Weight& weight) override { return weight; }
  [[nodiscard]] size_t workspace_bytes(int64_t, int64_t) const override { return 0; }
  Result<void> reserve(int64_t, int64_t) override { return {}; }
  Ops& ops() override { return ops_; }

 private:
  ReferenceOps ops_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace llmrun::kernels
