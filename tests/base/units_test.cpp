// Sizes and counts, read and printed.
#include "base/units.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

TEST(Units, ParsesBytes) {
  EXPECT_EQ(parse_bytes("8GiB").value(), uint64_t{8} << 30);
  EXPECT_EQ(parse_bytes("1.5GB").value(), 1'500'000'000U);
  EXPECT_EQ(parse_bytes("1.5 gib").value(), 1'610'612'736U);
  EXPECT_EQ(parse_bytes("512 MB").value(), 512'000'000U);
  EXPECT_EQ(parse_bytes("8G").value(), uint64_t{8} << 30);  // as GNU tools have it
  EXPECT_EQ(parse_bytes("4096").value(), 4096U);
  EXPECT_EQ(parse_bytes(" 12 B ").value(), 12U);
  EXPECT_EQ(parse_bytes(".5k").value(), 512U);
  EXPECT_EQ(parse_bytes("0").value(), 0U);
}

TEST(Units, RefusesWhatIsNoSize) {
  for (const char* text : {"", "GB", "-1GB", "8 GBB", "1e9", "0x10", "1,5GB", "8GiB 2", ".", "NaN",
                           "18446744073709551616", "20000000TiB", "99999999999999999999999"}) {
    const auto parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kUsage);
    EXPECT_NE(parsed.error().message.find(text), std::string::npos);
  }
}

TEST(Units, ParsesCounts) {
  EXPECT_EQ(parse_count("7B").value(), 7'000'000'000U);
  EXPECT_EQ(parse_count("1.5b").value(), 1'500'000'000U);
  EXPECT_EQ(parse_count("0.6B").value(), 600'000'000U);
  EXPECT_EQ(parse_count("135M").value(), 135'000'000U);
  EXPECT_EQ(parse_count("1000000").value(), 1'000'000U);
  EXPECT_EQ(parse_count("1.1T").value(), 1'100'000'000'000U);
  EXPECT_FALSE(parse_count("7GB"));
  EXPECT_FALSE(parse_count("B"));
}

TEST(Units, FormatsBytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(1'048'575), "1.0 MiB");  // not "1024.0 KiB"
  EXPECT_EQ(format_bytes(uint64_t{8} << 30), "8.0 GiB");
  EXPECT_EQ(format_bytes_decimal(999), "999 B");
  EXPECT_EQ(format_bytes_decimal(999'999), "1.0 MB");
  EXPECT_EQ(format_bytes_decimal(98'362'432), "98.4 MB");
}

TEST(Units, FormatsCounts) {
  EXPECT_EQ(format_count(768), "768");
  EXPECT_EQ(format_count(134'515'008), "134.5M");
  EXPECT_EQ(format_count(999'960'000), "1.00B");
  EXPECT_EQ(format_count(1'543'714'304), "1.54B");
  EXPECT_EQ(format_count(671'000'000'000), "671.00B");
}

TEST(Units, FormatsDurations) {
  EXPECT_EQ(format_duration(3.21), "3.2 s");
  EXPECT_EQ(format_duration(59.97), "1 min 00 s");
  EXPECT_EQ(format_duration(125), "2 min 05 s");
  EXPECT_EQ(format_duration(3720), "1 h 02 min");
  EXPECT_EQ(format_duration(-1), "?");
}

}  // namespace
}  // namespace llmrun
