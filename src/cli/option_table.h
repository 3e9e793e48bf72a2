// The options and arguments of one command, as a table. The parser, the help, the man page and the
// shell completions all read this table; nothing about an option is written down twice.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::cli {

// What a shell offers as completion of a value.
enum class ValueKind : uint8_t { kText, kFile, kModel };

struct Option {
  std::string name;   // "max-tokens"
  std::string alias;  // another long name, or empty
  char letter = 0;
  std::string value;  // how the help writes the value, "N"; empty: a switch that takes none
  std::string help;   // one sentence, lower case, without a full stop; the default in brackets
  std::string group;  // the heading in the help
  ValueKind kind = ValueKind::kText;
  std::vector<std::string> choices;  // empty: any value
  // A value that may be left out: the next argument is taken as the value only when this says so.
  std::function<bool(std::string_view)> takes_next;
  std::function<Result<void>(std::string_view)> set;
  bool given = false;

  [[nodiscard]] bool is_switch() const { return value.empty(); }
};

struct Argument {
  std::string name;  // "MODEL"
  std::string help;
  ValueKind kind = ValueKind::kText;
  std::vector<std::string> choices;
  bool required = true;
  bool repeated = false;  // takes all that follows; only the last argument
  std::function<Result<void>(std::string_view)> set;
  bool given = false;
};

template <typename T>
struct Range {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};

class OptionTable {
 public:
  // Options added after this call stand under `title` in the help. The title until now.
  std::string start_group(std::string title) { return std::exchange(group_, std::move(title)); }

  Option& add(Option option);
  Option& add_switch(std::string name, char letter, std::string help, bool* target);
  Option& add_text(std::string name, char letter, std::string value, std::string help,
                   std::string* target);
  // May be given several times.
  Option& add_texts(std::string name, char letter, std::string value, std::string help,
                    std::vector<std::string>* target);
  Option& add_file(std::string name, char letter, std::string help, std::string* target);
  Option& add_choice(std::string name, char letter, std::vector<std::string> choices,
                     std::string help, std::string* target);
  Option& add_integer(std::string name, char letter, std::string value, std::string help,
                      int64_t* target, Range<int64_t> range = {});
  // "512,1024" or the option several times.
  Option& add_integers(std::string name, char letter, std::string value, std::string help,
                       std::vector<int64_t>* target, Range<int64_t> range);

  Argument& add_argument(Argument argument);
  Argument& add_text_argument(std::string name, std::string help, std::string* target);
  Argument& add_model_argument(std::string* target);

  [[nodiscard]] bool given(std::string_view name) const;
  [[nodiscard]] const std::deque<Option>& options() const { return options_; }
  [[nodiscard]] const std::deque<Argument>& arguments() const { return arguments_; }
  [[nodiscard]] Option* find(std::string_view name);  // by long name or alias
  [[nodiscard]] Option* find(char letter);

  // Sets everything `args` says. `command` is for messages. Unknown options, missing and bad values
  // are kUsage errors that name the nearest option.
  Result<void> parse(std::span<const std::string> args, std::string_view command);

 private:
  [[nodiscard]] Error unknown_option(std::string_view written, std::string_view command) const;
  Result<void> give_argument(const std::string& value, std::string_view command);

  std::string group_ = "Options";
  std::deque<Option> options_;  // deque: references stay valid
  std::deque<Argument> arguments_;
};

// Whole-text conversions with a range; the error names `what` ("--top-k").
Result<int64_t> parse_integer(std::string_view text, std::string_view what,
                              Range<int64_t> range = {});
Result<double> parse_number(std::string_view text, std::string_view what, Range<double> range = {});

// The name in `known` that `text` probably meant, or empty.
std::string nearest_name(std::string_view text, std::span<const std::string> known);

}  // namespace llmrun::cli
