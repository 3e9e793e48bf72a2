// The examples of FIPS 180-2, in one piece and in many.
#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string_view>

#include "base/file_io.h"
#include "base/temporary_folder.h"

namespace llmrun {
namespace {

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex({}).value(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(as_bytes("abc")).value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesGiveTheSame) {
  const std::string a_million(1'000'000, 'a');
  Sha256 hash;
  for (size_t i = 0; i < a_million.size(); i += 999) {
    hash.update(as_bytes(std::string_view(a_million).substr(i, 999)));
  }
  EXPECT_EQ(hash.finish().value(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_FALSE(hash.finish());  // ended
}

TEST(Sha256, GoesOnFromAState) {
  const std::string text(100'000, 'x');
  Sha256 whole;
  whole.update(as_bytes(text).first(640));
  const auto state = whole.state();
  ASSERT_TRUE(state);
  Sha256 rest(*state, 640);
  rest.update(as_bytes(text).subspan(640));
  EXPECT_EQ(rest.finish().value(), sha256_hex(as_bytes(text)).value());
  whole.update(as_bytes(text).first(1));
  EXPECT_FALSE(whole.state());                 // inside a block
  EXPECT_FALSE(Sha256(*state, 641).finish());  // no state belongs there
}

TEST(Sha256, OfAFile) {
  const test::TemporaryFolder folder;
  const std::string text(3'000'000, 'q');
  ASSERT_TRUE(write_file_atomic(folder.file("a"), text));
  uint64_t last = 0;
  const auto digest = sha256_file(folder.file("a"), [&](uint64_t done) { last = done; });
  EXPECT_EQ(digest.value(), sha256_hex(as_bytes(text)).value());
  EXPECT_EQ(last, text.size());
  EXPECT_EQ(sha256_file(folder.file("none")).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace llmrun
