// The reference form of every op: plain loops, one element after the other, sums in double. The
// oracle of the tests, and what a backend may call for an op that is not worth a kernel.
#pragma once

#include "kernels/ops.h"

namespace llmrun::kernels::ref {

void matmul(const MatmulParams& params);
void expert_matmul(const ExpertMatmulParams& params);
void head_matmul(const HeadMatmulParams& params);
void embed(const EmbedParams& params);
void norm(const NormParams& params);
void rope(const RopeParams& params);
void gated_activation(const GatedActivationParams& params);
void add(const AddParams& params);
void multiply(const MultiplyParams& params);
void scale(const ScaleParams& params);
void group_dot(const GroupDotParams& params);
void mix_rows(const MixRowsParams& params);
void kv_write(const KvWriteParams& params);
void attention(const AttentionParams& params);
void route(const RouteParams& params);
void combine_experts(const CombineExpertsParams& params);
void causal_conv(const CausalConvParams& params);
void state_space(const StateSpaceParams& params);
void delta_rule(const DeltaRuleParams& params);

// act(x) in double.
double activate(Activation activation, double x);

}  // namespace llmrun::kernels::ref
