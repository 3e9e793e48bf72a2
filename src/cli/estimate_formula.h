// The rule of thumb for memory in words and numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llmrun::cli {

// Widths that weights come in, for the question which of them fit.
inline constexpr double kCommonBits[] = {2, 3, 4, 5, 6, 8, 16, 32};

std::string format_gigabytes(double n_bytes);  // decimal, "4.2", "0.081", "168"
std::string format_parameters(double count);   // "7B", "1.5B", "135M"
std::string format_bits(double bits);          // "4", "4.5"

// "M = P * 4 bytes * 1.2 / (32 / Q) = 7B * 4 bytes * 1.2 / (32 / 4) = 4.2 GB".
std::string formula_with_numbers(double n_parameters, double bits);
// Sizes by bits: 1.5B to 70B at 4, 8 and 16 bits.
std::string size_table();
// The parameter counts and bits of size_table().
inline constexpr double kTableSizes[] = {1.5e9, 7e9, 9e9, 40e9, 70e9};
inline constexpr double kTableBits[] = {4, 8, 16};

}  // namespace llmrun::cli
