// Ops that go to the device whose turn it is, for passes over layers that are divided among
// several.
#pragma once

#include "kernels/ops.h"

namespace llmrun::runtime {

class SwitchedOps final : public kernels::Ops {
 public:
  void switch_to(kernels::Ops& ops) { to_ = &ops; }

  void matmul(const kernels::MatmulParams& p) override { to_->matmul(p); }
  void expert_matmul(const kernels::ExpertMatmulParams& p) override { to_->expert_matmul(p); }
  void head_matmul(const kernels::HeadMatmulParams& p) override { to_->head_matmul(p); }
  void embed(const kernels::EmbedParams& p) override { to_->embed(p); }
  void norm(const kernels::NormParams& p) override { to_->norm(p); }
  void rope(const kernels::RopeParams& p) override { to_->rope(p); }
  void gated_activation(const kernels::GatedActivationParams& p) override {
    to_->gated_activation(p);
  }
  void feed_forward(const kernels::FeedForwardParams& p) override { to_->feed_forward(p); }
  void add(const kernels::AddParams& p) override { to_->add(p); }
  void multiply(const kernels::MultiplyParams& p) override { to_->multiply(p); }
  void scale(const kernels::ScaleParams& p) override { to_->scale(p); }
  void group_dot(const kernels::GroupDotParams& p) override { to_->group_dot(p); }
  void mix_rows(const kernels::MixRowsParams& p) override { to_->mix_rows(p); }
  void kv_write(std::span<const kernels::KvWriteParams> p) override { to_->kv_write(p); }
  void attention(std::span<const kernels::AttentionParams> p) override { to_->attention(p); }
  void route(const kernels::RouteParams& p) override { to_->route(p); }
  void combine_experts(const kernels::CombineExpertsParams& p) override { to_->combine_experts(p); }
  void causal_conv(const kernels::CausalConvParams& p) override { to_->causal_conv(p); }
  void state_space(const kernels::StateSpaceParams& p) override { to_->state_space(p); }
  void delta_rule(const kernels::DeltaRuleParams& p) override { to_->delta_rule(p); }
  const float* send(std::span<const float> values) override { return to_->send(values); }

 private:
  kernels::Ops* to_ = nullptr;
};

}  // namespace llmrun::runtime
