// The table of types: names, ids, sizes, and that no size overflows.
#include "kernels/tensor_type.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstdint>
#include <limits>
#include <set>
#include <string>

namespace llmrun::quant {
namespace {

TEST(TensorType, NamesAndIdsLeadBackToTheType) {
  std::set<uint32_t> ids;
  for (int i = 0; i < kTensorTypeCount; ++i) {
    const auto type = static_cast<TensorType>(i);
    const TensorTypeTraits& t = traits(type);
    EXPECT_EQ(tensor_type_from_gguf_id(t.gguf_id), type);
    EXPECT_EQ(tensor_type_from_name(t.name), type);
    std::string lower(t.name);
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(tensor_type_from_name(lower), type);
    EXPECT_TRUE(ids.insert(t.gguf_id).second) << t.name;
  }
  EXPECT_EQ(kTensorTypeCount, 28);
}

TEST(TensorType, UnknownIdsAndNamesAreNoType) {
  for (const uint32_t id : {4U, 5U, 9U, 15U, 24U, 31U, 43U, 255U, 0xffffffffU}) {
    EXPECT_EQ(tensor_type_from_gguf_id(id), std::nullopt) << id;
  }
  for (const char* name : {"", "Q4", "Q4_K_M", "Q4_0 ", "Q9_0"}) {
    EXPECT_EQ(tensor_type_from_name(name), std::nullopt) << name;
  }
}

TEST(TensorType, TraitsAreThoseOfTheFormat) {
  EXPECT_EQ(traits(TensorType::Q4_K).block_size, 256);
  EXPECT_EQ(traits(TensorType::Q4_K).block_bytes, 144U);
  EXPECT_EQ(traits(TensorType::Q4_K).group_size, 32);
  EXPECT_TRUE(traits(TensorType::Q4_K).has_offset);
  EXPECT_EQ(traits(TensorType::Q6_K).group_size, 16);
  EXPECT_FALSE(traits(TensorType::Q6_K).has_offset);
  EXPECT_TRUE(traits(TensorType::BF16).is_float);
  EXPECT_EQ(traits(TensorType::BF16).block_size, 1);
}

TEST(TensorType, RowBytesCountsWholeBlocks) {
  EXPECT_EQ(row_bytes(TensorType::Q4_0, 64), 36U);
  EXPECT_EQ(row_bytes(TensorType::Q4_0, 0), 0U);
  EXPECT_EQ(row_bytes(TensorType::F32, 3), 12U);
  const auto partial = row_bytes(TensorType::Q4_K, 128);
  ASSERT_FALSE(partial.has_value());
  EXPECT_EQ(partial.error().code, ErrorCode::kBadModel);
  EXPECT_NE(partial.error().message.find("Q4_K"), std::string::npos);
  EXPECT_FALSE(row_bytes(TensorType::F32, -1).has_value());
}

TEST(TensorType, RowBytesNeverOverflows) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_FALSE(row_bytes(TensorType::F32, kMax).has_value());
  EXPECT_FALSE(row_bytes(TensorType::F16, kMax).has_value());
  EXPECT_EQ(row_bytes(TensorType::F32, kMax / 4), static_cast<size_t>(kMax / 4) * 4);
  EXPECT_FALSE(row_bytes(TensorType::F32, kMax / 4 + 1).has_value());
  EXPECT_FALSE(row_bytes(TensorType::Q8_0, kMax / 32 * 32).has_value());  // 34 bytes per 32
  EXPECT_TRUE(row_bytes(TensorType::Q4_0, kMax / 32 * 32).has_value());
  EXPECT_FALSE(row_bytes(TensorType::Q4_0, std::numeric_limits<int64_t>::min()).has_value());
}

}  // namespace
}  // namespace llmrun::quant
