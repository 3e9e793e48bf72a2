// The integer form: scale * q + offset must be the decoded value, for any bytes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>

#include "kernels/quant/all_types.h"

namespace llmrun::quant {
namespace {

template <typename Policy>
class UnpackTest : public testing::Test {};

using BlockTypes = testing::Types<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K,
                                  IQ2_XXS, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ2_S, IQ4_XS,
                                  IQ1_M, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, Q2_0>;
TYPED_TEST_SUITE(UnpackTest, BlockTypes);

// The distance of two floats in units of the last place; NaN and NaN are equal.
int64_t ulp_distance(float a, float b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  int32_t x;
  int32_t y;
  std::memcpy(&x, &a, 4);
  std::memcpy(&y, &b, 4);
  const auto ordered = [](int32_t v) -> int64_t {
    return v < 0 ? -static_cast<int64_t>(v & 0x7fffffff) : v;
  };
  return std::llabs(ordered(x) - ordered(y));
}

TYPED_TEST(UnpackTest, IsTheDecodedValueForRandomBytes) {
  using Policy = TypeParam;
  constexpr int kGroups = Policy::kBlockSize / Policy::kGroupSize;
  std::mt19937 random(20240517);
  for (int round = 0; round < 400; ++round) {
    typename Policy::Block block;
    auto* bytes = reinterpret_cast<uint8_t*>(&block);
    for (size_t i = 0; i < sizeof block; ++i) bytes[i] = static_cast<uint8_t>(random());
    float decoded[Policy::kBlockSize];
    Policy::dequantize(block, decoded);
    int8_t q[Policy::kBlockSize];
    float scale[kGroups];
    float offset[kGroups] = {};
    Policy::unpack(block, q, scale, Policy::kHasOffset ? offset : nullptr);
    for (int i = 0; i < Policy::kBlockSize; ++i) {
      const int g = i / Policy::kGroupSize;
      ASSERT_LE(std::abs(static_cast<int>(q[i])), Policy::kMaxAbs);
      const float value = scale[g] * static_cast<float>(q[i]) + offset[g];
      ASSERT_LE(ulp_distance(value, decoded[i]), 1) << "value " << i << " of round " << round;
    }
  }
}

// Every bit of a block matters: flipping it changes the integer form (but for the few that the
// format ignores). Catches fields that overlap or are forgotten.
TYPED_TEST(UnpackTest, EveryByteHasAnEffect) {
  using Policy = TypeParam;
  constexpr int kGroups = Policy::kBlockSize / Policy::kGroupSize;
  std::mt19937 random(7);
  typename Policy::Block block;
  auto* bytes = reinterpret_cast<uint8_t*>(&block);
  for (size_t i = 0; i < sizeof block; ++i) bytes[i] = static_cast<uint8_t>(random());
  struct Form {
    int8_t q[Policy::kBlockSize];
    float scale[kGroups];
    float offset[kGroups];
  };
  Form before{};
  Policy::unpack(block, before.q, before.scale, before.offset);
  for (size_t i = 0; i < sizeof block; ++i) {
    bool changed = false;
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= static_cast<uint8_t>(1U << bit);
      Form after{};
      Policy::unpack(block, after.q, after.scale, after.offset);
      changed = changed || std::memcmp(&before, &after, sizeof before) != 0;
      bytes[i] ^= static_cast<uint8_t>(1U << bit);
    }
    EXPECT_TRUE(changed) << "byte " << i;
  }
}

}  // namespace
}  // namespace llmrun::quant
