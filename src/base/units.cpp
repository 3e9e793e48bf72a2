// Parses and prints sizes, counts and durations.
#include "base/units.h"

#include <array>
#include <cctype>
#include <cmath>
#include <optional>
#include <span>

#include "base/checked_math.h"
#include "base/error.h"

namespace llmrun {
namespace {

struct Unit {
  std::string_view name;  // lower case
  uint64_t factor;
};

constexpr uint64_t kKi = 1024;
constexpr uint64_t kK = 1000;
constexpr std::array<Unit, 16> kByteUnits = {{{"", 1},
                                              {"b", 1},
                                              {"k", kKi},
                                              {"kib", kKi},
                                              {"kb", kK},
                                              {"m", kKi* kKi},
                                              {"mib", kKi* kKi},
                                              {"mb", kK* kK},
                                              {"g", kKi* kKi* kKi},
                                              {"gib", kKi* kKi* kKi},
                                              {"gb", kK* kK* kK},
                                              {"t", kKi* kKi* kKi* kKi},
                                              {"tib", kKi* kKi* kKi* kKi},
                                              {"tb", kK* kK* kK* kK},
                                              {"bytes", 1},
                                              {"byte", 1}}};
constexpr std::array<Unit, 5> kCountUnits = {
    {{"", 1}, {"k", kK}, {"m", kK* kK}, {"b", kK* kK* kK}, {"t", kK* kK* kK* kK}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Digits before and after the point; the fraction is kept to 18 digits, more do not matter.
struct Decimal {
  uint64_t whole = 0;
  double fraction = 0.0;
};

// Takes a decimal number off the front of `text`.
std::optional<Decimal> take_decimal(std::string_view& text) {
  Decimal number;
  size_t i = 0;
  bool any = false;
  for (; i < text.size() && is_digit(text[i]); ++i, any = true) {
    const auto scaled = checked_mul(number.whole, 10);
    const auto next =
        scaled ? checked_add(*scaled, static_cast<uint64_t>(text[i] - '0')) : std::nullopt;
    if (!next) return std::nullopt;
    number.whole = *next;
  }
  if (i < text.size() && text[i] == '.') {
    ++i;
    double digits = 0.0;
    double scale = 1.0;
    for (int n = 0; i < text.size() && is_digit(text[i]); ++i, ++n, any = true) {
      if (n >= 15) continue;  // every integer below 10^15 is exact in a double
      digits = digits * 10.0 + (text[i] - '0');
      scale *= 10.0;
    }
    number.fraction = digits / scale;
  }
  if (!any) return std::nullopt;
  text.remove_prefix(i);
  return number;
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> parse_with(std::string_view text, std::span<const Unit> units) {
  text = trim(text);
  const auto number = take_decimal(text);
  if (!number) return std::nullopt;
  const std::string name = to_lower(trim(text));
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    const auto whole = checked_mul(number->whole, unit.factor);
    if (!whole) return std::nullopt;
    const double rest = std::round(number->fraction * static_cast<double>(unit.factor));
    return checked_add(*whole, static_cast<uint64_t>(rest));
  }
  return std::nullopt;
}

// Divides by `step` until the number is below it, and prints up to `names.size()` steps. The
// number goes up a unit early when it would be printed as a full step ("1024.0 KiB").
std::string format_scaled(uint64_t value, double step, std::span<const std::string_view> names) {
  auto number = static_cast<double>(value);
  size_t i = 0;
  while (i + 1 < names.size() && number >= step - (i == 0 ? 0.0 : 0.05)) {
    number /= step;
    ++i;
  }
  return i == 0 ? fmt::format("{}{}", value, names[0]) : fmt::format("{:.1f}{}", number, names[i]);
}

}  // namespace

Result<uint64_t> parse_bytes(std::string_view text) {
  if (const auto n_bytes = parse_with(text, kByteUnits)) return *n_bytes;
  return make_error(ErrorCode::kUsage, "'{}' is no size; write it like 8GiB, 1.5GB or 4096", text);
}

Result<uint64_t> parse_count(std::string_view text) {
  if (const auto count = parse_with(text, kCountUnits)) return *count;
  return make_error(ErrorCode::kUsage, "'{}' is no count; write it like 7B, 1.5B or 135M", text);
}

std::string format_bytes(uint64_t n_bytes) {
  static constexpr std::array<std::string_view, 6> kNames = {" B",   " KiB", " MiB",
                                                             " GiB", " TiB", " PiB"};
  return format_scaled(n_bytes, 1024.0, kNames);
}

std::string format_bytes_decimal(uint64_t n_bytes) {
  static constexpr std::array<std::string_view, 6> kNames = {" B",  " kB", " MB",
                                                             " GB", " TB", " PB"};
  return format_scaled(n_bytes, 1000.0, kNames);
}

std::string format_count(uint64_t count) {
  // Two decimals from a billion on: 1.54B and 1.48B are different models.
  if (count >= 999'950'000) {
    const bool trillions = count >= 999'995'000'000;
    return fmt::format("{:.2f}{}", static_cast<double>(count) / (trillions ? 1e12 : 1e9),
                       trillions ? "T" : "B");
  }
  static constexpr std::array<std::string_view, 3> kNames = {"", "K", "M"};
  return format_scaled(count, 1000.0, kNames);
}

std::string format_duration(double seconds) {
  if (!(seconds >= 0.0) || seconds > 1e9) return "?";
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace llmrun
