// exp_negative() against the library's function.
#include "base/exp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llmrun {
namespace {

TEST(ExpNegative, IsWithinTwoUnitsOfTheLastPlace) {
  for (double x = 0.0; x > -708.0; x -= 0.0137 + x * -1e-4) {
    const double wanted = std::exp(x);
    const double unit = std::nextafter(wanted, 1e300) - wanted;
    ASSERT_LE(std::abs(exp_negative(x) - wanted), 2 * unit) << x;
  }
  for (double x = -1e-300; x > -1.0; x *= 1.7) {
    ASSERT_NEAR(exp_negative(x), std::exp(x), 3e-16) << x;
  }
}

TEST(ExpNegative, HasAnEnd) {
  EXPECT_EQ(exp_negative(0.0), 1.0);
  EXPECT_EQ(exp_negative(-0.0), 1.0);
  EXPECT_GT(exp_negative(-708.0), 0.0);
  EXPECT_EQ(exp_negative(-709.0), 0.0);
  EXPECT_EQ(exp_negative(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(exp_negative(std::numeric_limits<double>::quiet_NaN()), 0.0);
}

}  // namespace
}  // namespace llmrun
