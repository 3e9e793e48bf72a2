// The exponential function of differences to a largest value, in arithmetic that every CPU and GPU
// rounds alike: whoever adds up such numbers in one order gets the same bits everywhere.
#pragma once

#include <cstdint>

namespace llmrun {

// exp(x) for x <= 0, within 2 units of the last place; 0 below -708, where results would be
// subnormal, and for NaN.
constexpr double exp_negative(double x) {
  if (!(x >= -708.0)) return 0.0;
  // x = n ln 2 + r with |r| <= ln 2 / 2; the first part of ln 2 ends in zeros, so n times it is
  // exact.
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2First = 6.93147180369123816490e-01;
  constexpr double kLn2Second = 1.90821492927058770002e-10;
  const auto n = static_cast<int32_t>(x * kLog2E - 0.5);
  const double r = (x - n * kLn2First) - n * kLn2Second;
  constexpr double kFactors[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0,
                                 1.0 / 3628800.0,    1.0 / 362880.0,    1.0 / 40320.0,
                                 1.0 / 5040.0,       1.0 / 720.0,       1.0 / 120.0,
                                 1.0 / 24.0,         1.0 / 6.0,         0.5};
  double sum = kFactors[0];
  for (int i = 1; i < 12; ++i) sum = sum * r + kFactors[i];
  sum = r * r * sum + r;
  const uint64_t power = static_cast<uint64_t>(1023 + n) << 52;
  return (1.0 + sum) * __builtin_bit_cast(double, power);
}

}  // namespace llmrun
