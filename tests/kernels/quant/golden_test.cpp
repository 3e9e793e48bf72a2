// Decoding, against bytes and values that other programs produced (tests/data/quants):
//   TYPE.raw, TYPE.f32          rows of weights_f32 quantised and decoded by llama.cpp
//   random_TYPE.raw, .f32       random bytes (finite scales) decoded by the gguf Python package,
//                               for the bit patterns that no quantiser writes
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/quant/npy.h"
#include "kernels/tensor_type.h"

namespace llmrun::quant {
namespace {

// "Q4_K" is q4_K in the file names, all other types are lower case.
std::string file_stem(TensorType type) {
  std::string name(traits(type).name);
  for (size_t i = 0; i < name.size(); ++i) {
    const bool k_type = name[i] == 'K' && i + 1 == name.size();
    if (name[i] >= 'A' && name[i] <= 'Z' && !k_type) name[i] = static_cast<char>(name[i] + 32);
  }
  return name;
}

void expect_decodes(TensorType type, const std::string& stem) {
  const auto raw = read_npy<std::byte>(quant_data(stem + ".raw.npy"));
  const auto expected = read_npy<float>(quant_data(stem + ".f32.npy"));
  ASSERT_FALSE(expected.empty()) << stem;
  const auto size = row_bytes(type, static_cast<int64_t>(expected.size()));
  ASSERT_TRUE(size.has_value()) << size.error().message;
  ASSERT_EQ(*size, raw.size()) << stem;
  // One byte further than the allocation: blocks must decode at any address.
  std::vector<std::byte> shifted(raw.size() + 1);
  std::memcpy(shifted.data() + 1, raw.data(), raw.size());
  std::vector<float> decoded(expected.size());
  dequantize_row(type, shifted.data() + 1, static_cast<int64_t>(expected.size()), decoded.data());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(std::memcmp(&decoded[i], &expected[i], sizeof(float)), 0)
        << stem << " value " << i << ": " << decoded[i] << " instead of " << expected[i];
  }
}

class GoldenTest : public testing::TestWithParam<TensorType> {};

TEST_P(GoldenTest, DecodesBitForBit) { expect_decodes(GetParam(), file_stem(GetParam())); }

TEST_P(GoldenTest, DecodesRandomBytesBitForBit) {
  // The Python package decodes neither Q1_0, of which two bit patterns exist and occur above, nor
  // Q2_0, which has a test of its own below.
  const TensorType type = GetParam();
  if (traits(type).is_float || type == TensorType::Q1_0 || type == TensorType::Q2_0) return;
  expect_decodes(type, "random_" + file_stem(type));
}

std::vector<TensorType> all_types() {
  std::vector<TensorType> types;
  for (int i = 0; i < kTensorTypeCount; ++i) types.push_back(static_cast<TensorType>(i));
  return types;
}

// F32 has no golden file: its bytes are its values.
std::vector<TensorType> golden_types() {
  std::vector<TensorType> types = all_types();
  types.erase(types.begin());
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenTest, testing::ValuesIn(golden_types()),
                         [](const auto& type) { return std::string(traits(type.param).name); });

TEST(GoldenF32, BytesAreTheValues) {
  const float values[] = {1.0F, -0.0F, 3.4e38F, 1e-45F};
  float decoded[4] = {};
  dequantize_row(TensorType::F32, reinterpret_cast<const std::byte*>(values), 4, decoded);
  EXPECT_EQ(std::memcmp(values, decoded, sizeof values), 0);
}

// No quantiser writes code 3 of Q2_0 for the weights above; by the format it stands for 2.
TEST(GoldenQ2_0, AllFourCodes) {
  std::byte block[18];
  for (std::byte& b : block) b = std::byte{0b11'10'01'00};
  block[0] = std::byte{0x00};
  block[1] = std::byte{0x38};  // 0.5 in float16
  float decoded[64];
  dequantize_row(TensorType::Q2_0, block, 64, decoded);
  const float expected[4] = {-0.5F, 0.0F, 0.5F, 1.0F};
  for (int i = 0; i < 64; ++i) EXPECT_EQ(decoded[i], expected[i % 4]) << i;
}

}  // namespace
}  // namespace llmrun::quant
