// Builds option tables and converts values. The parser is in option_parser.cpp.
#include "cli/option_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/edit_distance.h"
#include "base/error.h"

namespace llmrun::cli {
namespace {

template <typename T>
std::string describe_range(Range<T> range) {
  const bool low = range.low != std::numeric_limits<T>::lowest();
  const bool high = range.high != std::numeric_limits<T>::max();
  if (low && high) return fmt::format(" from {} to {}", range.low, range.high);
  if (low) return fmt::format(" from {} up", range.low);
  if (high) return fmt::format(" up to {}", range.high);
  return "";
}

}  // namespace

Result<int64_t> parse_integer(std::string_view text, std::string_view what, Range<int64_t> range) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (text.empty() || stop != end || status != std::errc() || value < range.low ||
      value > range.high) {
    return make_error(ErrorCode::kUsage, "{} cannot be '{}'; give a whole number{}", what, text,
                      describe_range(range));
  }
  return value;
}

Result<double> parse_number(std::string_view text, std::string_view what, Range<double> range) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (text.empty() || stop != end || status != std::errc() || !std::isfinite(value) ||
      value < range.low || value > range.high) {
    return make_error(ErrorCode::kUsage, "{} cannot be '{}'; give a number{}", what, text,
                      describe_range(range));
  }
  return value;
}

std::string nearest_name(std::string_view text, std::span<const std::string> known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, text.size() / 3) + 1;
  for (const std::string& name : known) {
    // A beginning of a name counts as one step away.
    const bool begins = text.size() >= 2 && name.starts_with(text);
    const size_t distance = begins ? 1 : edit_distance(text, name);
    if (distance < best_distance && distance < name.size()) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

Option& OptionTable::add(Option option) {
  option.group = group_;
  options_.push_back(std::move(option));
  return options_.back();
}

Option& OptionTable::add_switch(std::string name, char letter, std::string help, bool* target) {
  Option option;
  option.name = std::move(name);
  option.letter = letter;
  option.help = std::move(help);
  option.set = [target](std::string_view) -> Result<void> {
    *target = true;
    return {};
  };
  return add(std::move(option));
}

Option& OptionTable::add_text(std::string name, char letter, std::string value, std::string help,
                              std::string* target) {
  Option option;
  option.name = std::move(name);
  option.letter = letter;
  option.value = std::move(value);
  option.help = std::move(help);
  option.set = [target](std::string_view text) -> Result<void> {
    *target = text;
    return {};
  };
  return add(std::move(option));
}

Option& OptionTable::add_texts(std::string name, char letter, std::string value, std::string help,
                               std::vector<std::string>* target) {
  Option& option = add_text(std::move(name), letter, std::move(value), std::move(help), nullptr);
  option.set = [target](std::string_view text) -> Result<void> {
    target->emplace_back(text);
    return {};
  };
  return option;
}

Option& OptionTable::add_file(std::string name, char letter, std::string help,
                              std::string* target) {
  Option& option = add_text(std::move(name), letter, "FILE", std::move(help), target);
  option.kind = ValueKind::kFile;
  return option;
}

Option& OptionTable::add_choice(std::string name, char letter, std::vector<std::string> choices,
                                std::string help, std::string* target) {
  std::string value;
  for (const std::string& choice : choices) value += (value.empty() ? "" : "|") + choice;
  Option& option = add_text(std::move(name), letter, std::move(value), std::move(help), target);
  option.choices = std::move(choices);
  return option;
}

Option& OptionTable::add_integer(std::string name, char letter, std::string value, std::string help,
                                 int64_t* target, Range<int64_t> range) {
  Option& option = add_text(name, letter, std::move(value), std::move(help), nullptr);
  option.set = [target, range, what = "--" + name](std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(*target, parse_integer(text, what, range));
    return {};
  };
  return option;
}

Option& OptionTable::add_integers(std::string name, char letter, std::string value,
                                  std::string help, std::vector<int64_t>* target,
                                  Range<int64_t> range) {
  Option& option = add_text(name, letter, std::move(value), std::move(help), nullptr);
  option.set = [target, range, what = "--" + name](std::string_view text) -> Result<void> {
    while (true) {
      const size_t comma = text.find(',');
      LLMRUN_ASSIGN(const int64_t number, parse_integer(text.substr(0, comma), what, range));
      target->push_back(number);
      if (comma == std::string_view::npos) return {};
      text.remove_prefix(comma + 1);
    }
  };
  return option;
}

Argument& OptionTable::add_argument(Argument argument) {
  arguments_.push_back(std::move(argument));
  return arguments_.back();
}

Argument& OptionTable::add_text_argument(std::string name, std::string help, std::string* target) {
  Argument argument;
  argument.name = std::move(name);
  argument.help = std::move(help);
  argument.set = [target](std::string_view text) -> Result<void> {
    *target = text;
    return {};
  };
  return add_argument(std::move(argument));
}

Argument& OptionTable::add_model_argument(std::string* target) {
  Argument& argument = add_text_argument(
      "MODEL", "a GGUF file, or the name of a model, here or to be fetched", target);
  argument.kind = ValueKind::kModel;
  return argument;
}

bool OptionTable::given(std::string_view name) const {
  return std::any_of(options_.begin(), options_.end(),
                     [name](const Option& option) { return option.name == name && option.given; });
}

Option* OptionTable::find(std::string_view name) {
  for (Option& option : options_) {
    if (option.name == name || (!option.alias.empty() && option.alias == name)) return &option;
  }
  return nullptr;
}

Option* OptionTable::find(char letter) {
  for (Option& option : options_) {
    if (option.letter == letter) return &option;
  }
  return nullptr;
}

}  // namespace llmrun::cli
