// Mixes: what a name means, layer by layer.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "quantize/mix.h"

namespace llmrun::quantize {
namespace {

using T = TensorType;

const Mix& mix(const char* name) {
  const Mix* found = find_mix(name);
  EXPECT_NE(found, nullptr) << name;
  return *found;
}

// The layers of 32 whose tensor of this role is not of the base type.
std::string raised(const char* name, Role role, int64_t n_layers = 32) {
  std::string text;
  for (int64_t layer = 0; layer < n_layers; ++layer) {
    const TensorContext context{.role = role, .layer = layer, .n_layers = n_layers};
    const T type = choose_type(mix(name), context);
    if (type == mix(name).base) continue;
    if (!text.empty()) text += ' ';
    text += std::to_string(layer);
  }
  return text;
}

TEST(Mix, NamesAreFoundInAnyCaseAndFamiliesMeanTheirMiddle) {
  EXPECT_EQ(find_mix("q4_k_m"), find_mix("Q4_K_M"));
  EXPECT_EQ(find_mix("Q4_K"), find_mix("Q4_K_M"));
  EXPECT_EQ(find_mix("q3_k"), find_mix("Q3_K_M"));
  EXPECT_EQ(find_mix("Q4_K_X"), nullptr);
  EXPECT_EQ(find_mix(""), nullptr);
}

TEST(Mix, EveryTensorTypeIsTheBaseOfOne) {
  std::set<T> bases;
  std::set<std::string> names;
  for (const Mix& one : mixes()) {
    bases.insert(one.base);
    EXPECT_TRUE(names.insert(std::string(one.name)).second) << one.name;
  }
  EXPECT_EQ(bases.size(), static_cast<size_t>(quant::kTensorTypeCount));
}

TEST(Mix, Q4KMRaisesTheValuesAndDownMatricesOfHalfTheLayers) {
  const std::string half = "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31";
  EXPECT_EQ(raised("Q4_K_M", Role::kValue), half);
  EXPECT_EQ(raised("Q4_K_M", Role::kFfnDown), half);
  EXPECT_EQ(raised("Q4_K_M", Role::kQuery), "");
  EXPECT_EQ(raised("Q4_K_S", Role::kValue), "0 1 2 3");
  EXPECT_EQ(raised("Q4_K_S", Role::kFfnDown), "0 1 2 3");
  EXPECT_EQ(raised("Q5_K_S", Role::kValue), "");
  EXPECT_EQ(raised("IQ3_XS", Role::kFfnGateOrUp),
            "4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27");
}

TEST(Mix, OutputsKeepMoreBits) {
  const TensorContext output{.role = Role::kOutput};
  EXPECT_EQ(choose_type(mix("Q4_K_M"), output), T::Q6_K);
  EXPECT_EQ(choose_type(mix("IQ2_XXS"), output), T::Q5_K);
  EXPECT_EQ(choose_type(mix("Q8_0"), output), T::Q8_0);
  EXPECT_EQ(choose_type(mix("F16"), output), T::F16);
}

TEST(Mix, ExpertsAndQueriesPerKeyCount) {
  TensorContext value{.role = Role::kValue, .layer = 10, .n_layers = 32};
  EXPECT_EQ(choose_type(mix("Q2_K"), value), T::Q3_K);
  value.many_queries = true;
  EXPECT_EQ(choose_type(mix("Q2_K"), value), T::Q4_K);
  value.n_experts = 8;
  EXPECT_EQ(choose_type(mix("Q2_K"), value), T::Q8_0);
  const TensorContext stack{.role = Role::kFfnDown, .is_stack = true, .n_experts = 32};
  EXPECT_EQ(choose_type(mix("MXFP4_MOE"), stack), T::MXFP4);
  EXPECT_EQ(choose_type(mix("MXFP4_MOE"), {.role = Role::kQuery}), T::Q8_0);
}

TEST(Mix, ImportanceMakesSomeRaisesNeedless) {
  TensorContext down{.role = Role::kFfnDown, .layer = 0, .n_layers = 32};
  EXPECT_EQ(choose_type(mix("IQ4_XS"), down), T::Q5_K);
  EXPECT_EQ(choose_type(mix("IQ3_XXS"), down), T::Q4_K);
  down.has_importance = true;
  EXPECT_EQ(choose_type(mix("IQ4_XS"), down), T::IQ4_XS);
  EXPECT_EQ(choose_type(mix("IQ3_XXS"), down), T::IQ3_XXS);
  EXPECT_EQ(choose_type(mix("Q4_0"), down), T::Q4_1);
}

TEST(Mix, RowsThatDoNotDivideGetSmallerBlocks) {
  EXPECT_EQ(fitting_type(T::Q4_K, 512), T::Q4_K);
  EXPECT_EQ(fitting_type(T::Q4_K, 576), T::Q5_0);
  EXPECT_EQ(fitting_type(T::Q5_K, 576), T::Q5_1);
  EXPECT_EQ(fitting_type(T::Q6_K, 576), T::Q8_0);
  EXPECT_EQ(fitting_type(T::IQ2_XXS, 64), T::IQ4_NL);
  EXPECT_EQ(fitting_type(T::NVFP4, 96), T::Q4_0);
  EXPECT_EQ(fitting_type(T::MXFP4, 80), T::F16);
  EXPECT_EQ(fitting_type(T::Q4_K, 30), T::F16);
  for (int i = 0; i < quant::kTensorTypeCount; ++i) {  // and it always ends
    for (const uint64_t row : {1U, 16U, 32U, 96U, 128U, 320U}) {
      EXPECT_EQ(row % static_cast<uint64_t>(
                          quant::traits(fitting_type(static_cast<T>(i), row)).block_size),
                0U);
    }
  }
}

TEST(TensorRole, NamesTellRoles) {
  EXPECT_EQ(role_of("output.weight"), Role::kOutput);
  EXPECT_EQ(role_of("token_embd.weight"), Role::kEmbedding);
  EXPECT_EQ(role_of("blk.3.attn_v.weight"), Role::kValue);
  EXPECT_EQ(role_of("blk.3.ffn_down_exps.weight"), Role::kFfnDown);
  EXPECT_EQ(role_of("blk.3.attn_output.weight"), Role::kAttentionOutput);
  EXPECT_EQ(role_of("blk.3.ssm_in.weight"), Role::kOther);
  EXPECT_EQ(layer_of("blk.17.attn_v.weight"), 17);
  EXPECT_EQ(layer_of("output.weight"), -1);
  EXPECT_EQ(layer_of("blk.x.attn_v.weight"), -1);
  EXPECT_EQ(layer_of("blk.99999999999999999999.a"), -1);
  EXPECT_EQ(layer_of("blk.5"), -1);
}

TEST(TensorRole, VectorsRoutersAndConvolutionsStay) {
  const auto matrix = [](std::string_view name) {
    gguf::TensorInfo tensor;
    tensor.name = name;
    tensor.n_dims = 2;
    tensor.dims = {64, 8, 1, 1};
    tensor.n_elements = 512;
    return tensor;
  };
  EXPECT_TRUE(may_be_quantised(matrix("blk.0.ffn_up.weight")));
  EXPECT_FALSE(may_be_quantised(matrix("blk.0.ffn_gate_inp.weight")));
  EXPECT_FALSE(may_be_quantised(matrix("blk.0.attn_q_norm.weight")));
  EXPECT_FALSE(may_be_quantised(matrix("blk.0.ssm_conv1d.weight")));
  EXPECT_FALSE(may_be_quantised(matrix("blk.0.ssm_a")));
  gguf::TensorInfo vector = matrix("blk.0.ffn_up.weight");
  vector.dims[1] = 1;
  vector.n_elements = 64;
  EXPECT_FALSE(may_be_quantised(vector));
}

}  // namespace
}  // namespace llmrun::quantize
