// The reference quantisers: how far from the input, on real and on awkward values.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/quant/npy.h"
#include "kernels/tensor_type.h"

namespace llmrun::quant {
namespace {

std::vector<float> round_trip(TensorType type, const std::vector<float>& values,
                              const float* weights = nullptr) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(row_bytes(type, n).value());
  std::vector<float> result(values.size());
  quantize_row(type, values.data(), n, bytes.data(), weights);
  dequantize_row(type, bytes.data(), n, result.data());
  return result;
}

// Root of the squared error relative to that of the values, over [first, first + n).
double relative_error(const float* values, const float* decoded, size_t n) {
  double error = 0.0;
  double norm = 0.0;
  for (size_t i = 0; i < n; ++i) {
    const double difference = static_cast<double>(values[i]) - static_cast<double>(decoded[i]);
    error += difference * difference;
    norm += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return norm > 0.0 ? std::sqrt(error / norm) : std::sqrt(error);
}

// What a quantiser may lose on normally distributed values: measured, and a tenth on top.
struct Bound {
  const char* name;
  double error;
};
constexpr Bound kBounds[] = {
    {"F32", 0.0},       {"F16", 2.3e-4},  {"BF16", 1.85e-3}, {"Q4_0", 0.088},   {"Q4_1", 0.077},
    {"Q5_0", 0.043},    {"Q5_1", 0.037},  {"Q8_0", 0.0058},  {"Q2_K", 0.30},    {"Q3_K", 0.157},
    {"Q4_K", 0.079},    {"Q5_K", 0.039},  {"Q6_K", 0.0185},  {"IQ2_XXS", 0.36}, {"IQ2_XS", 0.315},
    {"IQ3_XXS", 0.193}, {"IQ1_S", 0.49},  {"IQ4_NL", 0.080}, {"IQ3_S", 0.142},  {"IQ2_S", 0.262},
    {"IQ4_XS", 0.081},  {"IQ1_M", 0.455}, {"TQ1_0", 0.49},   {"TQ2_0", 0.49},   {"MXFP4", 0.125},
    {"NVFP4", 0.093},   {"Q1_0", 0.67},   {"Q2_0", 0.40},
};

class QuantizeTest : public testing::TestWithParam<TensorType> {};

TEST_P(QuantizeTest, StaysWithinTheBoundOfTheTypeOnNormalValues) {
  std::mt19937 random(3);
  std::vector<float> values(4096);
  for (float& value :
       values) {  // the sum of 12 uniform numbers, which every library computes alike
    float sum = -6.0F;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(random() >> 8) * 0x1p-24F;
    value = 0.05F * sum;
  }
  const auto decoded = round_trip(GetParam(), values);
  const Bound* bound = nullptr;
  for (const Bound& b : kBounds) {
    if (traits(GetParam()).name == b.name) bound = &b;
  }
  ASSERT_NE(bound, nullptr) << "add the type to kBounds";
  const double error = relative_error(values.data(), decoded.data(), values.size());
  RecordProperty("relative_error", std::to_string(error));
  EXPECT_LE(error, bound->error);
  EXPECT_GE(error, bound->error * 0.75);  // the table says what happens, not merely an upper bound
}

// Rows with outliers and zeros, as llama.cpp quantised them: ours lose no more in plain squared
// error.
TEST_P(QuantizeTest, LosesNoMoreThanTheProgramOfTheGoldenFiles) {
  const TensorType type = GetParam();
  if (type == TensorType::F32) return;
  std::string stem(traits(type).name);
  for (size_t i = 0; i < stem.size(); ++i) {
    const bool k_type = stem[i] == 'K' && i + 1 == stem.size();
    if (stem[i] >= 'A' && stem[i] <= 'Z' && !k_type) stem[i] = static_cast<char>(stem[i] + 32);
  }
  const auto values = read_npy<float>(quant_data("weights_f32.npy"));
  const auto theirs = read_npy<float>(quant_data(stem + ".f32.npy"));
  ASSERT_EQ(values.size(), 6U * 1024U);
  ASSERT_EQ(theirs.size(), values.size());
  const auto ours = round_trip(type, values);
  for (size_t row = 0; row < 6; ++row) {
    const size_t first = row * 1024;
    EXPECT_LE(relative_error(&values[first], &ours[first], 1024),
              1.001 * relative_error(&values[first], &theirs[first], 1024) + 1e-9)
        << "row " << row;
  }
}

// A few inputs matter a hundred times more than the others, as in real activations.
std::vector<float> uneven_weights(size_t n) {
  std::mt19937 random(11);
  std::vector<float> weights(n);
  for (float& weight : weights) weight = random() % 8 == 0 ? 100.0F : 1.0F;
  return weights;
}

double weighted_error(const std::vector<float>& values, const std::vector<float>& decoded,
                      const std::vector<float>& weights) {
  double error = 0.0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double difference = static_cast<double>(values[i]) - static_cast<double>(decoded[i]);
    error += static_cast<double>(weights[i]) * difference * difference;
  }
  return error;
}

// One value a block, or the largest value sets the scale.
bool ignores_weights(TensorType type) { return traits(type).is_float || type == TensorType::Q8_0; }

TEST_P(QuantizeTest, WeightsLowerTheWeightedError) {
  const TensorType type = GetParam();
  const auto all = read_npy<float>(quant_data("weights_f32.npy"));
  const std::vector<float> values(all.begin(), all.begin() + 2048);
  const auto weights = uneven_weights(values.size());
  const auto plain = round_trip(type, values);
  const auto weighted = round_trip(type, values, weights.data());
  const double before = weighted_error(values, plain, weights);
  const double after = weighted_error(values, weighted, weights);
  RecordProperty("ratio", std::to_string(after / before));
  if (ignores_weights(type)) {
    EXPECT_EQ(plain, weighted);
    return;
  }
  // The scales of MXFP4 are powers of two, Q1_0 has one for 128 values: little to choose.
  const bool rigid = type == TensorType::MXFP4 || type == TensorType::Q1_0;
  EXPECT_LT(after, (rigid ? 1.0 : 0.95) * before);
}

TEST_P(QuantizeTest, EqualWeightsChangeNothing) {
  const auto all = read_npy<float>(quant_data("weights_f32.npy"));
  const std::vector<float> values(all.begin(), all.begin() + 2048);
  const std::vector<float> ones(values.size(), 1.0F);
  EXPECT_EQ(round_trip(GetParam(), values), round_trip(GetParam(), values, ones.data()));
}

TEST_P(QuantizeTest, ZerosStayZeros) {
  for (const float value : round_trip(GetParam(), std::vector<float>(512, 0.0F))) {
    ASSERT_EQ(value, 0.0F);
  }
}

// Extreme magnitudes must not become infinite or NaN: scales saturate or vanish. (BF16 and F16
// follow IEEE instead: too large becomes infinite.)
TEST_P(QuantizeTest, ExtremeMagnitudesStayFinite) {
  if (traits(GetParam()).is_float) return;
  for (const float magnitude : {3e38F, 1e10F, 7e4F, 1e-8F, 1e-30F, 1e-45F}) {
    std::vector<float> values(512, 0.0F);
    for (size_t i = 0; i < values.size(); i += 3) values[i] = i % 2 == 0 ? magnitude : -magnitude;
    for (const float value : round_trip(GetParam(), values)) {
      ASSERT_TRUE(std::isfinite(value)) << magnitude;
    }
    const std::vector<float> constant(512, magnitude);
    for (const float value : round_trip(GetParam(), constant)) {
      ASSERT_TRUE(std::isfinite(value)) << magnitude;
    }
  }
}

// What was decoded once is a fixed point, or very nearly: the grid of its block is found again.
TEST_P(QuantizeTest, RequantisingDecodedValuesLosesLittle) {
  const auto values = read_npy<float>(quant_data("weights_f32.npy"));
  const std::vector<float> rows(values.begin(), values.begin() + 2048);
  const auto once = round_trip(GetParam(), rows);
  const auto twice = round_trip(GetParam(), once);
  const double first_loss = relative_error(rows.data(), once.data(), rows.size());
  EXPECT_LE(relative_error(once.data(), twice.data(), once.size()), 0.5 * first_loss + 1e-9);
}

std::vector<TensorType> all_types() {
  std::vector<TensorType> types;
  for (int i = 0; i < kTensorTypeCount; ++i) types.push_back(static_cast<TensorType>(i));
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizeTest, testing::ValuesIn(all_types()),
                         [](const auto& type) { return std::string(traits(type.param).name); });

TEST(QuantizeTernary, TernaryWeightsAreExact) {
  std::mt19937 random(5);
  std::vector<float> values(512);
  for (float& value : values) value = 0.0625F * (static_cast<float>(random() % 3) - 1.0F);
  for (const TensorType type : {TensorType::TQ1_0, TensorType::TQ2_0, TensorType::Q2_0}) {
    EXPECT_EQ(round_trip(type, values), values) << traits(type).name;
  }
}

TEST(QuantizeFloat, F16AndBf16RoundOnce) {
  const std::vector<float> values = {1.0F, 1.0F + 0x1p-11F, 70000.0F, -0.0F};
  EXPECT_EQ(round_trip(TensorType::F32, values), values);
  const auto half = round_trip(TensorType::F16, values);
  EXPECT_EQ(half[1], 1.0F);  // a tie: to even
  EXPECT_TRUE(std::isinf(half[2]));
  EXPECT_TRUE(std::signbit(half[3]));
  EXPECT_EQ(round_trip(TensorType::BF16, values)[2], 70144.0F);
}

}  // namespace
}  // namespace llmrun::quant
