// The rule of thumb and how its numbers are written.
#include "cli/estimate_formula.h"

#include <gtest/gtest.h>

#include "llmrun/model_info.h"

namespace llmrun::cli {
namespace {

TEST(EstimateFormula, GivesTheTable) {
  const struct {
    double size;
    const char* memory[3];  // at 4, 8 and 16 bits
  } kRows[] = {{1.5e9, {"0.9", "1.8", "3.6"}},
               {7e9, {"4.2", "8.4", "16.8"}},
               {9e9, {"5.4", "10.8", "21.6"}},
               {40e9, {"24", "48", "96"}},
               {70e9, {"42", "84", "168"}}};
  const std::string table = size_table();
  for (const auto& row : kRows) {
    const double bits[] = {4, 8, 16};
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(format_gigabytes(rule_of_thumb_bytes(row.size, bits[i])), row.memory[i]);
    }
  }
  EXPECT_EQ(table,
            "model  4 bits   8 bits  16 bits\n"
            " 1.5B  0.9 GB   1.8 GB   3.6 GB\n"
            "   7B  4.2 GB   8.4 GB  16.8 GB\n"
            "   9B  5.4 GB  10.8 GB  21.6 GB\n"
            "  40B   24 GB    48 GB    96 GB\n"
            "  70B   42 GB    84 GB   168 GB\n");
}

TEST(EstimateFormula, ShowsTheNumbersInIt) {
  EXPECT_EQ(formula_with_numbers(7e9, 4),
            "M = P * 4 bytes * 1.2 / (32 / Q)\n  = 7B * 4 bytes * 1.2 / (32 / 4)\n  = 4.2 GB\n");
}

TEST(EstimateFormula, WritesNumbersAsPeopleDo) {
  EXPECT_EQ(format_parameters(135e6), "135M");
  EXPECT_EQ(format_parameters(1.5e9), "1.5B");
  EXPECT_EQ(format_parameters(2e12), "2T");
  EXPECT_EQ(format_parameters(12), "12");
  EXPECT_EQ(format_bits(4.5), "4.5");
  EXPECT_EQ(format_gigabytes(0.081e9), "0.081");
  EXPECT_EQ(format_gigabytes(1234.4e9), "1234");
}

}  // namespace
}  // namespace llmrun::cli
