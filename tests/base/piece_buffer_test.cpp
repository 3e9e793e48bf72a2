// Pieces end at multiples of 2 MiB of the file, whatever comes in; nothing is lost or said twice.
#include "base/piece_buffer.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

namespace llmrun {
namespace {

using Bytes = std::vector<std::byte>;

Bytes random_bytes(size_t n, std::mt19937& random) {
  Bytes bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(PieceBuffer, WholePiecesGoOnAtTheirBorders) {
  std::mt19937 random(7);
  for (const uint64_t begin : {uint64_t{0}, uint64_t{5}, PieceBuffer::kPieceBytes - 1}) {
    const Bytes sent = random_bytes(3 * PieceBuffer::kPieceBytes + 77, random);
    Bytes written;
    std::vector<uint64_t> ends;
    const auto write = [&](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
      EXPECT_EQ(offset, begin + written.size());
      written.insert(written.end(), bytes.begin(), bytes.end());
      ends.push_back(begin + written.size());
      return {};
    };
    PieceBuffer buffer(begin);
    for (size_t position = 0; position < sent.size();) {
      // Mostly small ones; now and then more than a piece at once.
      const size_t most = random() % 8 == 0 ? 2 * PieceBuffer::kPieceBytes + 9 : 300'000;
      const size_t n = std::min<size_t>(random() % most, sent.size() - position);
      ASSERT_TRUE(buffer.add(std::span(sent).subspan(position, n), write));
      position += n;
      ASSERT_EQ(buffer.end(), begin + position);
      ASSERT_EQ(written.size() + buffer.n_pending(), position);
      ASSERT_LT(buffer.n_pending(), PieceBuffer::kPieceBytes);
    }
    for (const uint64_t end : ends) EXPECT_EQ(end % PieceBuffer::kPieceBytes, 0U);
    ASSERT_TRUE(buffer.flush(write));
    EXPECT_EQ(written, sent);
    const size_t n_calls = ends.size();
    ASSERT_TRUE(buffer.flush(write));  // nothing is there
    EXPECT_EQ(ends.size(), n_calls);
  }
}

TEST(PieceBuffer, KeepsWhatCouldNotBeWritten) {
  const Bytes sent(PieceBuffer::kPieceBytes, std::byte{3});
  bool is_full = true;
  uint64_t n_written = 0;
  const auto write = [&](uint64_t, std::span<const std::byte> bytes) -> Result<void> {
    if (is_full) return make_error(ErrorCode::kIo, "the disk is full");
    n_written += bytes.size();
    return {};
  };
  PieceBuffer buffer;
  ASSERT_TRUE(buffer.add(std::span(sent).first(10), write));
  EXPECT_FALSE(buffer.add(std::span(sent).subspan(10), write));
  EXPECT_EQ(buffer.n_pending(), sent.size());
  is_full = false;
  ASSERT_TRUE(buffer.flush(write));
  EXPECT_EQ(n_written, sent.size());
}

}  // namespace
}  // namespace llmrun
