// Products of every tensor type on every target: near the reference, and the same bits whatever
// the number of tokens, the threads and the company.
#include <algorithm>
#include <cmath>

#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

using Matmul = OnEachTarget;

std::vector<float> product(Ops& ops, const Weight& weight, const ConstRows& x,
                           const float* bias = nullptr) {
  std::vector<float> y(static_cast<size_t>(x.n * weight.n_out), -7.0F);
  MatmulOutput output;
  output.weight = weight;
  output.bias = bias;
  output.y = y.data();
  output.y_stride = weight.n_out;
  MatmulParams params;
  params.x = x;
  params.outputs = std::span<const MatmulOutput>(&output, 1);
  ops.matmul(params);
  return y;
}

double norm_of(const std::vector<float>& v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum);
}

// Float weights: 1e-5 of sum |w x|. Block types: what int8 activations cost, about 1 % (the
// outliers among the test's activations make it a little more).
void expect_near(TensorType type, const std::vector<float>& got, const std::vector<float>& want,
                 int64_t n_in) {
  std::vector<float> difference(got.size());
  for (size_t i = 0; i < got.size(); ++i) difference[i] = got[i] - want[i];
  const double error = norm_of(difference);
  const double floor =
      1e-3 * std::sqrt(static_cast<double>(got.size() * static_cast<size_t>(n_in)));
  const double limit = quant::traits(type).is_float ? 1e-5 * norm_of(want) : 0.015 * norm_of(want);
  EXPECT_LE(error, limit + (quant::traits(type).is_float ? 1e-5 : 1.0) * floor)
      << quant::traits(type).name;
}

TEST_P(Matmul, EveryTypeAgreesWithTheReference) {
  const auto cpu = backend(2);
  const auto reference = make_reference_backend();
  Random random(1);
  for (const TensorType type : all_types()) {
    const int64_t block = quant::traits(type).block_size;
    for (const int64_t n_blocks : {int64_t{1}, int64_t{5}, 1536 / block}) {
      const int64_t n_in = block == 1 ? n_blocks * 3 : n_blocks * block;
      const int64_t n_out = 1 + random.below(70);
      const int64_t n_tokens = 1 + random.below(70);
      const PackedWeight packed(type, n_out, n_in, 1, random);
      const std::vector<float> x = random.values(n_tokens * n_in);
      const std::vector<float> bias = random.values(n_out);
      SCOPED_TRACE(testing::Message() << quant::traits(type).name << " n_out " << n_out << " n_in "
                                      << n_in << " n_tokens " << n_tokens);
      const auto want =
          product(reference->ops(), packed.weight, const_rows(x, n_tokens, n_in), bias.data());
      const auto got =
          product(cpu->ops(), packed.weight, const_rows(x, n_tokens, n_in), bias.data());
      expect_near(type, got, want, n_in);
    }
  }
}

// The integer form has no freedom: with activations that int8 represents exactly, the only
// difference from the reference is float rounding. Finds any misplaced value or scale.
TEST_P(Matmul, ExactActivationsGiveTheReferenceProduct) {
  const auto cpu = backend(1);
  const auto reference = make_reference_backend();
  Random random(2);
  for (const TensorType type : all_types()) {
    const int64_t n_in = std::max<int64_t>(512, quant::traits(type).block_size);
    for (const int64_t n_tokens : {1, 2, 7}) {
      const PackedWeight packed(type, 19, n_in, 1, random);
      std::vector<float> x(static_cast<size_t>(n_tokens * n_in));
      for (size_t i = 0; i < x.size(); ++i) {
        x[i] = i % 16 == 5 ? 127.0F : static_cast<float>(random.below(255) - 127);
      }
      const auto want = product(reference->ops(), packed.weight, const_rows(x, n_tokens, n_in));
      const auto got = product(cpu->ops(), packed.weight, const_rows(x, n_tokens, n_in));
      double scale = 0;
      for (const float v : want) scale = std::max(scale, std::abs(static_cast<double>(v)));
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], want[i], 3e-5 * scale)
            << quant::traits(type).name << " element " << i << " of " << n_tokens << " tokens";
      }
    }
  }
}

// Larger than F16 goes, smaller than it goes, and all sizes side by side.
TEST_P(Matmul, FloatWeightsTakeActivationsOfAnySize) {
  const auto cpu = backend(2);
  Random random(8);
  constexpr int64_t kIn = 200;
  constexpr int64_t kOut = 33;
  for (const TensorType type : {TensorType::F32, TensorType::F16, TensorType::BF16}) {
    const PackedWeight packed(type, kOut, kIn, 1, random);
    for (const int64_t n_tokens : {3, 20}) {
      std::vector<float> x = random.values(n_tokens * kIn);
      for (size_t i = 0; i < x.size(); ++i) {
        const size_t t = i / kIn;
        x[i] *= t % 3 == 0 ? 1e9F : t % 3 == 1 ? 1e-20F : i % 7 == 0 ? 3e5F : 1.0F;
      }
      const auto got = product(cpu->ops(), packed.weight, const_rows(x, n_tokens, kIn));
      const auto want =
          product(make_reference_backend()->ops(), packed.weight, const_rows(x, n_tokens, kIn));
      for (int64_t t = 0; t < n_tokens; ++t) {
        double size = 0;
        for (const float value : std::span(x).subspan(static_cast<size_t>(t * kIn), kIn)) {
          size = std::max(size, std::abs(static_cast<double>(value)));
        }
        for (int64_t o = 0; o < kOut; ++o) {
          const auto at = static_cast<size_t>(t * kOut + o);
          ASSERT_NEAR(got[at], want[at], 1e-5 * size)
              << quant::traits(type).name << ", token " << t << " of " << n_tokens;
        }
      }
    }
  }
}

TEST_P(Matmul, RowsAreTheSameAloneAndTogetherOnAnyNumberOfThreads) {
  Random random(3);
  const auto one = backend(1);
  const auto two = backend(2);
  const auto three = backend(3);
  for (const TensorType type : all_types()) {
    const int64_t block = quant::traits(type).block_size;
    const int64_t n_in = block == 1 ? 1283 : (1280 / block) * block;
    constexpr int64_t kOut = 75;
    constexpr int64_t kTokens = 23;
    const PackedWeight packed(type, kOut, n_in, 1, random);
    const std::vector<float> x = random.values(kTokens * n_in);
    const auto together = product(one->ops(), packed.weight, const_rows(x, kTokens, n_in));
    SCOPED_TRACE(quant::traits(type).name);
    EXPECT_TRUE(
        same_bits(together, product(two->ops(), packed.weight, const_rows(x, kTokens, n_in))));
    EXPECT_TRUE(
        same_bits(together, product(three->ops(), packed.weight, const_rows(x, kTokens, n_in))));
    for (const int64_t n : {1, 2, 3, 5, 8}) {
      for (int64_t t = 0; t + n <= kTokens; t += n) {
        const std::vector<float> part(x.begin() + t * n_in, x.begin() + (t + n) * n_in);
        const auto alone = product(two->ops(), packed.weight, const_rows(part, n, n_in));
        ASSERT_EQ(
            0, std::memcmp(alone.data(), together.data() + t * kOut, alone.size() * sizeof(float)))
            << "tokens " << t << " to " << t + n;
      }
    }
  }
}

TEST_P(Matmul, SharedInputScaleBiasAndSum) {
  const auto cpu = backend(2);
  Random random(4);
  constexpr int64_t kIn = 256;
  constexpr int64_t kTokens = 6;
  const PackedWeight a(TensorType::Q4_K, 33, kIn, 1, random);
  const PackedWeight b(TensorType::F16, 7, kIn, 1, random);
  const std::vector<float> x = random.values(kTokens * kIn);
  const auto plain_a = product(cpu->ops(), a.weight, const_rows(x, kTokens, kIn));
  const auto plain_b = product(cpu->ops(), b.weight, const_rows(x, kTokens, kIn));
  const std::vector<float> bias = random.values(33);
  const std::vector<float> factor = {0.5F};
  std::vector<float> y_a(static_cast<size_t>(kTokens) * 40, 1.0F);
  std::vector<float> y_b(static_cast<size_t>(kTokens) * 7);
  MatmulOutput outputs[2];
  outputs[0] = {a.weight, bias.data(), factor.data(), y_a.data(), 40, true};
  outputs[1] = {b.weight, nullptr, nullptr, y_b.data(), 7, false};
  MatmulParams params;
  params.x = const_rows(x, kTokens, kIn);
  params.outputs = outputs;
  cpu->ops().matmul(params);
  EXPECT_TRUE(same_bits(plain_b, y_b));
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t o = 0; o < 40; ++o) {
      const float want = o < 33 ? plain_a[t * 33 + o] * factor[0] + bias[o] + 1.0F : 1.0F;
      EXPECT_EQ(y_a[t * 40 + o], want) << t << ", " << o;
    }
  }
}

TEST_P(Matmul, ExpertsComputeTheirPairs) {
  const auto reference = make_reference_backend();
  Random random(5);
  constexpr int64_t kExperts = 5;
  constexpr int64_t kTokens = 11;
  for (const TensorType type : {TensorType::Q4_0, TensorType::Q6_K, TensorType::BF16}) {
    constexpr int64_t kIn = 256;
    const PackedWeight gate(type, 37, kIn, kExperts, random);
    const PackedWeight up(TensorType::Q8_0, 21, kIn, kExperts, random);
    const std::vector<float> bias = random.values(kExperts * 37);
    const std::vector<float> x = random.values(kTokens * kIn);
    std::vector<int32_t> experts;
    for (int32_t t = 0; t < kTokens; ++t) {
      experts.push_back(static_cast<int32_t>(random.below(3)));
      experts.push_back(4);
    }
    const auto n_pairs = static_cast<int64_t>(experts.size());
    // Rows of x for each token, or (the first half of the experts) for each pair.
    const auto compute = [&](Ops& ops, int64_t pairs_per_row) {
      std::vector<float> y(experts.size() * 58);
      ExpertMatmulOutput outputs[2];
      outputs[0] = {gate.weight, bias.data(), nullptr, y.data(), 37};
      outputs[1] = {up.weight, nullptr, nullptr, y.data() + experts.size() * 37, 21};
      ExpertMatmulParams params;
      params.x = const_rows(x, kTokens, kIn);
      params.experts = experts.data();
      params.n_pairs = pairs_per_row == 1 ? kTokens : n_pairs;
      params.pairs_per_row = pairs_per_row;
      params.max_per_expert = kTokens;
      params.outputs = outputs;
      ops.expert_matmul(params);
      return y;
    };
    for (const int64_t pairs_per_row : {1, 2}) {
      const auto want = compute(reference->ops(), pairs_per_row);
      const auto got = compute(backend(1)->ops(), pairs_per_row);
      expect_near(TensorType::Q4_0, got, want, kIn);
      EXPECT_TRUE(same_bits(got, compute(backend(3)->ops(), pairs_per_row)));
    }
  }
}

TEST_P(Matmul, HeadsHaveTheirOwnMatrix) {
  const auto reference = make_reference_backend();
  Random random(6);
  for (const TensorType type : {TensorType::Q8_0, TensorType::F32, TensorType::Q5_1}) {
    const PackedWeight packed(type, 24, 64, 3, random);
    const std::vector<float> x = random.values(9 * 3 * 80);
    const auto compute = [&](Ops& ops) {
      std::vector<float> y(9 * 3 * 24);
      HeadMatmulParams params;
      params.weight = packed.weight;
      params.x = const_rows(x, 9, 3 * 80);
      params.x_head_stride = 80;
      params.y = rows(y, 9, 3 * 24);
      params.y_head_stride = 24;
      ops.head_matmul(params);
      return y;
    };
    const auto got = compute(backend(2)->ops());
    expect_near(type, got, compute(reference->ops()), 64);
    EXPECT_TRUE(same_bits(got, compute(backend(1)->ops())));
  }
}

LLMRUN_ON_EACH_TARGET(Matmul);

TEST(Backends, UnknownDevicesAndTargetsAreTypedErrors) {
  EXPECT_EQ(make_backend("toaster", {}).error().code, ErrorCode::kUsage);
  BackendOptions options;
  options.cpu_target = "avx9";
  EXPECT_EQ(make_backend("cpu", options).error().code, ErrorCode::kUsage);
  options.cpu_target = "plain";
  options.threads = -1;
  EXPECT_EQ(make_backend("cpu", options).error().code, ErrorCode::kUsage);
  for (const CpuTarget& target : cpu_targets()) {
    if (target.available) continue;
    options.cpu_target = target.name;
    options.threads = 1;
    EXPECT_EQ(make_backend("cpu", options).error().code, ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace llmrun::kernels
