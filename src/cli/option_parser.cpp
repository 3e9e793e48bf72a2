// Parses a command line with CLI11 against an option table. The only file that includes CLI11: the
// rest of the program sees the table.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "cli/option_table.h"

namespace llmrun::cli {
namespace {

std::string join(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// CLI11's way to write an option's names: "-n,--max-tokens,--limit".
std::string names_of(const Option& option) {
  std::string names = "--" + option.name;
  if (option.letter != 0) names = fmt::format("-{},{}", option.letter, names);
  if (!option.alias.empty()) names += ",--" + option.alias;
  return names;
}

// What CLI11 reports as the value of a flag that was given none.
constexpr std::string_view kNoValue = "true";

CLI::Option* declare(CLI::App& app, const Option& option) {
  if (option.is_switch() || option.takes_next) return app.add_flag(names_of(option));
  return app.add_option(names_of(option))
      ->type_size(1)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

// Two habits of CLI11 are not ours: an option whose value may be left out would take any next
// argument that is no option (here the option itself decides), and "--system=" would take the next
// argument instead of the empty text.
std::vector<std::string> normalise(std::span<const std::string> args, OptionTable& table) {
  std::vector<std::string> result;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--") {
      result.insert(result.end(), args.begin() + static_cast<ptrdiff_t>(i), args.end());
      break;
    }
    result.push_back(args[i]);
    if (!args[i].starts_with("--")) continue;
    const std::string_view name = std::string_view(args[i]).substr(2);
    if (name.ends_with('=')) {
      result.back().pop_back();
      result.emplace_back();
    } else if (const Option* option = table.find(name); option != nullptr && option->takes_next &&
                                                        i + 1 < args.size() &&
                                                        option->takes_next(args[i + 1])) {
      result.back() += "=" + args[++i];
    }
  }
  return result;
}

Result<void> check_choice(std::string_view value, std::span<const std::string> choices,
                          std::string_view what) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) {
    return {};
  }
  return make_error(ErrorCode::kUsage, "{} cannot be '{}'; it is one of: {}", what, value,
                    join(choices));
}

Result<void> set_values(Option& option, const CLI::Option& parsed) {
  const std::string what = "--" + option.name;
  option.given = true;
  for (const std::string& value : parsed.results()) {
    if (option.is_switch() && value != kNoValue) {
      return make_error(ErrorCode::kUsage, "{} takes no value", what);
    }
    const bool left_out = (option.is_switch() || option.takes_next) && value == kNoValue;
    if (!left_out) LLMRUN_TRY(check_choice(value, option.choices, what));
    LLMRUN_TRY(option.set(left_out ? std::string_view() : value));
  }
  return {};
}

bool looks_like_number(std::string_view text) {
  return text.size() > 1 &&
         (std::isdigit(static_cast<unsigned char>(text[1])) != 0 || text[1] == '.');
}

}  // namespace

Error OptionTable::unknown_option(std::string_view written, std::string_view command) const {
  written = written.substr(0, written.find('='));
  if (!written.starts_with("--")) {
    return {ErrorCode::kUsage,
            fmt::format("unknown option '{}'. See 'llmrun {} --help'; a text that begins with '-' "
                        "is written after '--'",
                        written, command),
            ""};
  }
  std::vector<std::string> known;
  for (const Option& option : options_) {
    known.push_back(option.name);
    if (!option.alias.empty()) known.push_back(option.alias);
  }
  const std::string nearest = nearest_name(written.substr(2), known);
  return {
      ErrorCode::kUsage,
      fmt::format("unknown option '{}'{} See 'llmrun {} --help'", written,
                  nearest.empty() ? "." : fmt::format("; did you mean '--{}'?", nearest), command),
      ""};
}

Result<void> OptionTable::give_argument(const std::string& value, std::string_view command) {
  for (Argument& argument : arguments_) {
    if (argument.given && !argument.repeated) continue;
    argument.given = true;
    LLMRUN_TRY(check_choice(value, argument.choices, argument.name));
    return argument.set(value);
  }
  return make_error(ErrorCode::kUsage, "'{}' is one argument too many. See 'llmrun {} --help'",
                    value, command);
}

// CLI11 sorts out the options; what it leaves over are the arguments, in order.
Result<void> OptionTable::parse(std::span<const std::string> args, std::string_view command) {
  CLI::App app;
  app.set_help_flag();  // help is the table's own
  app.allow_extras();
  std::vector<const CLI::Option*> parsed;
  for (const Option& option : options_) parsed.push_back(declare(app, option));
  std::vector<std::string> reversed = normalise(args, *this);
  std::reverse(reversed.begin(), reversed.end());  // as CLI11 takes them
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();  // "--name: 1 required  missing"
    return make_error(ErrorCode::kUsage, "{} needs a value. See 'llmrun {} --help'",
                      what.substr(0, what.find(':')), command);
  } catch (const CLI::ParseError& error) {
    return make_error(ErrorCode::kUsage, "{}. See 'llmrun {} --help'", error.what(), command);
  }
  bool only_arguments = false;
  for (const std::string& rest : app.remaining()) {
    if (!only_arguments && rest == "--") {
      only_arguments = true;
      continue;
    }
    const bool is_option = !only_arguments && rest.size() > 1 && rest[0] == '-';
    if (is_option && !looks_like_number(rest)) {
      return tl::unexpected<Error>(unknown_option(rest, command));
    }
    LLMRUN_TRY(give_argument(rest, command));
  }
  for (size_t i = 0; i < parsed.size(); ++i) {
    if (parsed[i]->count() > 0) LLMRUN_TRY(set_values(options_[i], *parsed[i]));
  }
  for (const Argument& argument : arguments_) {
    if (argument.required && !argument.given) {
      return make_error(ErrorCode::kUsage, "{} is missing: {}. See 'llmrun {} --help'",
                        argument.name, argument.help, command);
    }
  }
  return {};
}

}  // namespace llmrun::cli
