// Alignment, zeroes, ownership and refusal of AlignedBuffer.
#include "base/aligned_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace llmrun {
namespace {

bool all_zero(const AlignedBuffer& buffer) {
  const auto bytes = buffer.bytes();
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

TEST(AlignedBuffer, IsAlignedAndZeroed) {
  for (const uint64_t n : {1ULL, 63ULL, 4096ULL, 100'000ULL, (1ULL << 20) + 5, 5ULL << 20}) {
    for (const size_t alignment : {size_t{64}, size_t{4096}}) {
      const auto buffer = AlignedBuffer::allocate(n, alignment);
      ASSERT_TRUE(buffer) << buffer.error().message;
      EXPECT_EQ(buffer->size(), n);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % alignment, 0U);
      EXPECT_TRUE(all_zero(*buffer));
      buffer->commit();
      EXPECT_TRUE(all_zero(*buffer));
    }
  }
}

TEST(AlignedBuffer, CommitKeepsWhatIsThere) {
  const auto buffer = AlignedBuffer::allocate(3 << 20);
  ASSERT_TRUE(buffer);
  std::fill(buffer->bytes().begin(), buffer->bytes().end(), std::byte{0x5A});
  buffer->commit();
  EXPECT_EQ(std::count(buffer->bytes().begin(), buffer->bytes().end(), std::byte{0x5A}), 3 << 20);
}

TEST(AlignedBuffer, RefusesWhatCannotBe) {
  const auto huge = AlignedBuffer::allocate(uint64_t{1} << 62);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(huge.error().message.find("4096.0 PiB"), std::string::npos) << huge.error().message;
  EXPECT_FALSE(AlignedBuffer::allocate(std::numeric_limits<uint64_t>::max()));
  EXPECT_EQ(AlignedBuffer::allocate(64, 48).error().code, ErrorCode::kInternal);
  EXPECT_EQ(AlignedBuffer::allocate(64, 0).error().code, ErrorCode::kInternal);
}

TEST(AlignedBuffer, MovesItsMemory) {
  auto first = AlignedBuffer::allocate(1000);
  auto second = AlignedBuffer::allocate(2 << 20);
  ASSERT_TRUE(first && second);
  std::byte* const data = second->data();
  *first = std::move(*second);
  EXPECT_EQ(first->data(), data);
  EXPECT_EQ(first->size(), 2U << 20);
  EXPECT_TRUE(second->empty());
  const AlignedBuffer third(std::move(*first));
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.as<float>().size(), (2U << 20) / sizeof(float));
}

TEST(AlignedBuffer, OfNothingIsEmpty) {
  const auto buffer = AlignedBuffer::allocate(0);
  ASSERT_TRUE(buffer);
  EXPECT_TRUE(buffer->empty());
}

}  // namespace
}  // namespace llmrun
