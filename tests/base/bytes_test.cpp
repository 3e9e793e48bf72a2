// Checked arithmetic and the byte cursor.
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "base/byte_cursor.h"
#include "base/checked_math.h"

namespace llmrun {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(CheckedMath, AddsUpToTheLimit) {
  EXPECT_EQ(checked_add(2, 3), 5U);
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_FALSE(checked_add(kMax, 1));
}

TEST(CheckedMath, MultipliesUpToTheLimit) {
  EXPECT_EQ(checked_mul(6, 7), 42U);
  EXPECT_EQ(checked_mul(kMax, 0), 0U);
  EXPECT_EQ(checked_mul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), kMax - 0xFFFFFFFF);
  EXPECT_FALSE(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32));
}

TEST(CheckedMath, AlignsUp) {
  EXPECT_EQ(checked_align_up(0, 32), 0U);
  EXPECT_EQ(checked_align_up(1, 32), 32U);
  EXPECT_EQ(checked_align_up(64, 32), 64U);
  EXPECT_EQ(checked_align_up(25, 24), 48U);
  EXPECT_FALSE(checked_align_up(kMax, 32));
  EXPECT_FALSE(checked_align_up(5, 0));
}

constexpr std::array<std::byte, 7> kBytes = {std::byte{1},  std::byte{2}, std::byte{0},
                                             std::byte{0},  std::byte{0}, std::byte{'h'},
                                             std::byte{'i'}};

TEST(ByteCursor, ReadsLittleEndianWithoutAlignment) {
  ByteCursor cursor(kBytes);
  EXPECT_EQ(cursor.read<uint8_t>(), 1);
  EXPECT_EQ(cursor.read<uint32_t>(), 2U);
  EXPECT_EQ(cursor.take_text(2), "hi");
  EXPECT_TRUE(cursor.at_end());
}

TEST(ByteCursor, ARefusedReadMovesNothing) {
  ByteCursor cursor(kBytes);
  EXPECT_FALSE(cursor.read<uint64_t>());
  EXPECT_FALSE(cursor.take(8));
  EXPECT_FALSE(cursor.take(kMax));
  EXPECT_FALSE(cursor.skip(8));
  EXPECT_EQ(cursor.offset(), 0U);
  EXPECT_TRUE(cursor.skip(5));
  EXPECT_EQ(cursor.offset(), 5U);
  EXPECT_EQ(cursor.remaining(), 2U);
  EXPECT_FALSE(cursor.read<uint32_t>());
  EXPECT_EQ(cursor.remaining(), 2U);
}

TEST(ByteCursor, EmptyBytesHoldNothing) {
  ByteCursor cursor({});
  EXPECT_TRUE(cursor.at_end());
  EXPECT_FALSE(cursor.read<uint8_t>());
  ASSERT_TRUE(cursor.take_text(0));
  EXPECT_TRUE(cursor.skip(0));
}

}  // namespace
}  // namespace llmrun
