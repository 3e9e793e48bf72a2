// SipHash-2-4 against the vectors of its authors (key 00 01 … 0f, message 00 01 02 …).
#include "base/keyed_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace llmrun {
namespace {

constexpr HashKey kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

std::string message(size_t n) {
  std::string text;
  for (size_t i = 0; i < n; ++i) text.push_back(static_cast<char>(i));
  return text;
}

TEST(KeyedHash, IsSipHash) {
  EXPECT_EQ(siphash(message(0), kKey), 0x726fdb47dd0e0e31U);
  EXPECT_EQ(siphash(message(15), kKey), 0xa129ca6149be45e5U);
}

TEST(KeyedHash, DependsOnTextAndKey) {
  EXPECT_EQ(KeyedHash()("abc"), KeyedHash()("abc"));
  EXPECT_NE(KeyedHash()("abc"), KeyedHash()("abd"));
  EXPECT_NE(siphash("abc", kKey), siphash("abc", {1, 2}));
}

}  // namespace
}  // namespace llmrun
