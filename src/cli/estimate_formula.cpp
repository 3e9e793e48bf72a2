// Formats the rule of thumb M = P * 4 * 1.2 / (32 / Q).
#include "cli/estimate_formula.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/text_layout.h"
#include "llmrun/model_info.h"

namespace llmrun::cli {
namespace {

// A few digits without trailing zeros: three significant ones below 1, one decimal below 100.
std::string few_digits(double value) {
  if (value < 1) return fmt::format("{:.3g}", value);
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return value < 999.95 ? text : fmt::format("{:.0f}", value);
}

}  // namespace

std::string format_gigabytes(double n_bytes) { return few_digits(n_bytes / 1e9); }

std::string format_parameters(double count) {
  const auto scaled = [count](double unit, const char* name) {
    return fmt::format("{:.6g}{}", count / unit, name);
  };
  if (count >= 1e12) return scaled(1e12, "T");
  if (count >= 1e9) return scaled(1e9, "B");
  if (count >= 1e6) return scaled(1e6, "M");
  return fmt::format("{:.0f}", count);
}

std::string format_bits(double bits) { return fmt::format("{:.4g}", bits); }

std::string formula_with_numbers(double n_parameters, double bits) {
  return fmt::format(
      "M = P * 4 bytes * 1.2 / (32 / Q)\n  = {} * 4 bytes * 1.2 / (32 / {})\n  = {} GB\n",
      format_parameters(n_parameters), format_bits(bits),
      format_gigabytes(rule_of_thumb_bytes(n_parameters, bits)));
}

std::string size_table() {
  TextTable table;
  table.add_column("model", Align::kRight);
  for (const double bits : kTableBits) {
    table.add_column(fmt::format("{} bits", format_bits(bits)), Align::kRight);
  }
  for (const double size : kTableSizes) {
    std::vector<std::string> row = {format_parameters(size)};
    for (const double bits : kTableBits) {
      row.push_back(format_gigabytes(rule_of_thumb_bytes(size, bits)) + " GB");
    }
    table.add_row(std::move(row));
  }
  return table.text();
}

}  // namespace llmrun::cli
