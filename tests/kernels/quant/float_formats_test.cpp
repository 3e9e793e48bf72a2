// The small float formats, exhaustively, against formulas written from their definitions.
#include "kernels/quant/float_formats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace llmrun::quant {
namespace {

struct Format {
  int exponent_bits;
  int mantissa_bits;
  bool finite;  // no infinity; only all ones is NaN
};
constexpr Format kF16{5, 10, false};
constexpr Format kBf16{8, 7, false};
constexpr Format kE4m3{4, 3, true};
constexpr Format kE5m2{5, 2, false};

// The value of a bit pattern by the definition of the format: sign * 2^(e - bias) * 1.m.
double defined_value(const Format& f, uint32_t bits) {
  const uint32_t mantissa = bits & ((1U << f.mantissa_bits) - 1);
  const uint32_t top = (1U << f.exponent_bits) - 1;
  const uint32_t exponent = (bits >> f.mantissa_bits) & top;
  const double sign = ((bits >> (f.mantissa_bits + f.exponent_bits)) & 1) != 0 ? -1.0 : 1.0;
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  if (exponent == top && (!f.finite || mantissa == (1U << f.mantissa_bits) - 1)) {
    if (!f.finite && mantissa == 0) return sign * std::numeric_limits<double>::infinity();
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - f.mantissa_bits);
  return sign * std::ldexp((1U << f.mantissa_bits) + mantissa,
                           static_cast<int>(exponent) - bias - f.mantissa_bits);
}

// Every pattern decodes to its defined value and encodes back to itself.
template <typename ToFloat, typename FromFloat>
void expect_exact(const Format& f, ToFloat to_float, FromFloat from_float) {
  const uint32_t n = 1U << (1 + f.exponent_bits + f.mantissa_bits);
  for (uint32_t bits = 0; bits < n; ++bits) {
    const double expected = defined_value(f, bits);
    const float value = to_float(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(to_float(from_float(value)))) << bits;
    } else {
      ASSERT_EQ(static_cast<double>(value), expected) << bits;
      ASSERT_EQ(std::signbit(value), std::signbit(expected)) << bits;
      ASSERT_EQ(from_float(value), bits);
    }
  }
}

TEST(FloatFormats, AllPatternsAreExact) {
  expect_exact(
      kF16, [](uint32_t b) { return float_from_f16(static_cast<uint16_t>(b)); },
      [](float v) -> uint32_t { return f16_from_float(v); });
  expect_exact(
      kBf16, [](uint32_t b) { return float_from_bf16(static_cast<uint16_t>(b)); },
      [](float v) -> uint32_t { return bf16_from_float(v); });
  expect_exact(
      kE4m3, [](uint32_t b) { return float_from_e4m3(static_cast<uint8_t>(b)); },
      [](float v) -> uint32_t { return e4m3_from_float(v); });
  expect_exact(
      kE5m2, [](uint32_t b) { return float_from_e5m2(static_cast<uint8_t>(b)); },
      [](float v) -> uint32_t { return e5m2_from_float(v); });
}

// Between neighbours a and b of the format: below the middle gives a, above it b, the middle the
// even one. Checked at the middle and the two floats beside it, for all neighbours.
template <typename ToFloat, typename FromFloat>
void expect_nearest_even(uint32_t largest_finite, uint32_t sign, ToFloat to_float,
                         FromFloat from_float) {
  for (uint32_t bits = 0; bits < largest_finite; ++bits) {
    const float a = to_float(sign | bits);
    const float b = to_float(sign | (bits + 1));
    const float middle = static_cast<float>((static_cast<double>(a) + static_cast<double>(b)) / 2);
    const uint32_t even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(from_float(middle), sign | even) << bits;
    ASSERT_EQ(from_float(std::nextafterf(middle, a)), sign | bits) << bits;
    ASSERT_EQ(from_float(std::nextafterf(middle, b)), sign | (bits + 1)) << bits;
  }
}

TEST(FloatFormats, RoundsToNearestEven) {
  const auto f16 = [](uint32_t b) { return float_from_f16(static_cast<uint16_t>(b)); };
  const auto to_f16 = [](float v) -> uint32_t { return f16_from_float(v); };
  expect_nearest_even(0x7bff, 0, f16, to_f16);
  expect_nearest_even(0x7bff, 0x8000, f16, to_f16);
  const auto bf16 = [](uint32_t b) { return float_from_bf16(static_cast<uint16_t>(b)); };
  const auto to_bf16 = [](float v) -> uint32_t { return bf16_from_float(v); };
  expect_nearest_even(0x7f7f, 0, bf16, to_bf16);
  expect_nearest_even(0x7f7f, 0x8000, bf16, to_bf16);
  const auto e4m3 = [](uint32_t b) { return float_from_e4m3(static_cast<uint8_t>(b)); };
  const auto to_e4m3 = [](float v) -> uint32_t { return e4m3_from_float(v); };
  expect_nearest_even(0x7e, 0, e4m3, to_e4m3);
  expect_nearest_even(0x7e, 0x80, e4m3, to_e4m3);
  const auto e5m2 = [](uint32_t b) { return float_from_e5m2(static_cast<uint8_t>(b)); };
  const auto to_e5m2 = [](float v) -> uint32_t { return e5m2_from_float(v); };
  expect_nearest_even(0x7b, 0, e5m2, to_e5m2);
  expect_nearest_even(0x7b, 0x80, e5m2, to_e5m2);
}

TEST(FloatFormats, TheEndsOfTheRanges) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(f16_from_float(65519.996F), 0x7bff);  // just below the middle to 65536
  EXPECT_EQ(f16_from_float(65520.0F), 0x7c00);
  EXPECT_EQ(f16_from_float(3e38F), 0x7c00);
  EXPECT_EQ(f16_from_float(-infinity), 0xfc00);
  EXPECT_EQ(f16_from_float(smallest), 0x0000);
  EXPECT_EQ(f16_from_float(-smallest), 0x8000);
  EXPECT_EQ(f16_from_float(std::ldexp(1.0F, -25)), 0x0000);  // the tie between 0 and 2^-24
  EXPECT_EQ(f16_from_float(std::ldexp(1.0001F, -25)), 0x0001);
  EXPECT_EQ(bf16_from_float(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(bf16_from_float(infinity), 0x7f80);
  EXPECT_EQ(bf16_from_float(smallest), 0x0000);
  // FP8 saturates, whatever is too large; E5M2 has infinities and keeps them.
  EXPECT_EQ(e4m3_from_float(465.0F), 0x7e);
  EXPECT_EQ(e4m3_from_float(1e30F), 0x7e);
  EXPECT_EQ(e4m3_from_float(-infinity), 0xfe);
  EXPECT_EQ(e5m2_from_float(1e30F), 0x7b);
  EXPECT_EQ(e5m2_from_float(-1e30F), 0xfb);
  EXPECT_EQ(e5m2_from_float(infinity), 0x7c);
}

TEST(FloatFormats, NanStaysNan) {
  for (const uint32_t payload : {1U, 0x1fffU, 0x2000U, 0x400000U, 0x7fffffU}) {
    for (const uint32_t sign : {0U, 0x80000000U}) {
      const float nan = std::bit_cast<float>(sign | 0x7f800000U | payload);
      EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(nan)))) << payload;
      EXPECT_TRUE(std::isnan(float_from_bf16(bf16_from_float(nan)))) << payload;
      EXPECT_TRUE(std::isnan(float_from_e4m3(e4m3_from_float(nan)))) << payload;
      EXPECT_TRUE(std::isnan(float_from_e5m2(e5m2_from_float(nan)))) << payload;
    }
  }
}

// Random floats of all magnitudes: no other value of the format is nearer.
TEST(FloatFormats, NoF16IsNearerThanTheOneChosen) {
  std::mt19937 random(1);
  for (int i = 0; i < 2'000'000; ++i) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!(std::fabs(value) < 65504.0F)) continue;
    const uint16_t bits = f16_from_float(value);
    const double exact = static_cast<double>(value);
    const double error = std::fabs(static_cast<double>(float_from_f16(bits)) - exact);
    const auto magnitude = static_cast<uint16_t>(bits & 0x7fff);
    for (const int step : {-1, 1}) {
      if (magnitude == 0 && step < 0) continue;
      const auto neighbour = static_cast<uint16_t>((bits & 0x8000) | (magnitude + step));
      ASSERT_LE(error, std::fabs(static_cast<double>(float_from_f16(neighbour)) - exact)) << value;
    }
  }
}

TEST(FloatFormats, AreConstexpr) {
  static_assert(f16_from_float(1.0F) == 0x3c00 && float_from_f16(0x3c00) == 1.0F);
  static_assert(bf16_from_float(1.0F) == 0x3f80 && float_from_bf16(0x3f80) == 1.0F);
  static_assert(e4m3_from_float(448.0F) == 0x7e && float_from_e4m3(0x7e) == 448.0F);
  static_assert(e5m2_from_float(57344.0F) == 0x7b && float_from_e5m2(0x7b) == 57344.0F);
  static_assert(half_float_from_e8m0(128) == 1.0F && half_float_from_e8m0(127) == 0.5F);
  for (int bits = 0; bits < 255; ++bits) {
    EXPECT_EQ(half_float_from_e8m0(static_cast<uint8_t>(bits)), std::ldexp(1.0F, bits - 128));
  }
}

}  // namespace
}  // namespace llmrun::quant
