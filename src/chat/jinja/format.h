// Python's two ways to fill in a text: "%s is %d" % values, and "{} is {x}".format(…).
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "chat/jinja/heap.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

// `values` is a tuple of values, a dictionary (for "%(name)s") or one value.
Result<Value> format_percent(Heap& heap, const Value& format, const Value& values);

using NamedValues = std::vector<std::pair<std::string_view, Value>>;
Result<Value> format_braces(Heap& heap, const Value& format, const std::vector<Value>& positional,
                            const NamedValues& named);

// "[[fill]align][sign][#][0][width][,][.precision][type]", the part after ':' in braces.
struct FormatSpec {
  std::string_view fill = " ";
  char align = '\0';  // < > ^ =, or none
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char group = '\0';  // ',' or '_'
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};
Result<FormatSpec> parse_format_spec(std::string_view spec);
// Appends `value` as the specification says.
Result<void> write_formatted(Heap& heap, TextBuilder& out, const Value& value,
                             const FormatSpec& spec);

}  // namespace llmrun::chat::jinja
