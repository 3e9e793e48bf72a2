// Methods of strings.
#include "chat/jinja/builtins.h"
#include "chat/jinja/format.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/text_operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

template <CaseChange change>
Result<Value> case_method(Interpreter& interpreter, const Value& self, const Bound&) {
  return change_case(interpreter.heap(), self, change);
}

template <bool left, bool right>
Result<Value> strip_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  if (arguments.has(0) && !arguments[0].is_none()) {
    LLMRUN_TRY(text_argument("strip", arguments[0]));
  }
  return strip(interpreter.heap(), self, arguments[0], left, right);
}

template <bool from_right>
Result<Value> split_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  std::optional<Value> separator;
  if (arguments.has(0) && !arguments[0].is_none()) {
    LLMRUN_ASSIGN(separator, text_argument("split", arguments[0]));
  }
  int64_t max_splits = -1;
  if (arguments.has(1)) {
    LLMRUN_ASSIGN(max_splits, integer_argument("split", arguments[1]));
  }
  return split(interpreter.heap(), self, separator, max_splits, from_right);
}

Result<Value> splitlines_method(Interpreter& interpreter, const Value& self,
                                const Bound& arguments) {
  LLMRUN_ASSIGN(std::vector<Value> lines,
                split_lines(interpreter.heap(), self, arguments.flag(0, false)));
  return interpreter.heap().list(std::move(lines));
}

// The text and byte range that find(sub, start, end) and its like look at.
struct SearchRange {
  std::string_view text;  // of self, from its beginning to the range's end
  size_t begin = 0;
  bool empty = false;  // start lies behind the end: nothing is found, not even ""
};

Result<SearchRange> search_range(const Value& self, const Bound& arguments) {
  const auto size = static_cast<int64_t>(self.as_string().length());
  int64_t bounds[2] = {0, size};
  for (size_t i = 0; i < 2; ++i) {
    if (!arguments.has(i + 1) || arguments[i + 1].is_none()) continue;
    LLMRUN_ASSIGN(bounds[i], integer_argument("find", arguments[i + 1]));
    if (bounds[i] < 0) bounds[i] = std::max<int64_t>(0, bounds[i] + size);
  }
  bounds[1] = std::min(bounds[1], size);
  if (bounds[0] > bounds[1]) return SearchRange{self.view(), 0, true};
  const std::string_view text = self.view();
  const size_t end = byte_offset(text, static_cast<size_t>(bounds[1]));
  return SearchRange{text.substr(0, end), byte_offset(text, static_cast<size_t>(bounds[0])), false};
}

bool prefix_at(std::string_view text, std::string_view wanted, bool at_end) {
  if (wanted.size() > text.size()) return false;
  return (at_end ? text.substr(text.size() - wanted.size()) : text.substr(0, wanted.size())) ==
         wanted;
}

template <bool at_end>
Result<Value> affix_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  const std::string_view name = at_end ? "endswith" : "startswith";
  LLMRUN_TRY(interpreter.heap().spend_bytes(self.text().size()));
  LLMRUN_ASSIGN(const SearchRange range, search_range(self, arguments));
  if (range.empty) return Value(false);
  const std::string_view text = range.text.substr(range.begin);
  if (arguments[0].is_tuple()) {
    for (const Value& affix : arguments[0].as<ListObject>().items) {
      LLMRUN_TRY(interpreter.heap().spend(1));
      LLMRUN_ASSIGN(const Value wanted, text_argument(name, affix));
      if (prefix_at(text, wanted.view(), at_end)) return Value(true);
    }
    return Value(false);
  }
  LLMRUN_ASSIGN(const Value wanted, text_argument(name, arguments[0]));
  return Value(prefix_at(text, wanted.view(), at_end));
}

template <bool from_right, bool must_find>
Result<Value> find_method_of_text(Interpreter& interpreter, const Value& self,
                                  const Bound& arguments) {
  LLMRUN_ASSIGN(const Value wanted, text_argument("find", arguments[0]));
  LLMRUN_TRY(interpreter.heap().spend_bytes(2 * self.text().size()));
  LLMRUN_ASSIGN(const SearchRange range, search_range(self, arguments));
  size_t found = std::string_view::npos;
  if (!range.empty && !from_right) found = find_bytes(range.text, wanted.view(), range.begin);
  if (!range.empty && from_right) {
    // Backward search is quadratic at worst, so its work is paid for.
    LLMRUN_TRY(interpreter.heap().spend(
        (range.text.size() >> 8U) * (1 + (std::min<size_t>(wanted.view().size(), 4096) >> 4U))));
    found = range.text.rfind(wanted.view());
    if (found != std::string_view::npos && found < range.begin) found = std::string_view::npos;
  }
  if (found == std::string_view::npos) {
    if (must_find) return template_error("the substring was not found");
    return Value(int64_t{-1});
  }
  return Value(static_cast<int64_t>(count_characters(self.view().substr(0, found))));
}

Result<Value> count_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value wanted, text_argument("count", arguments[0]));
  LLMRUN_TRY(interpreter.heap().spend_bytes(2 * self.text().size()));
  LLMRUN_ASSIGN(const SearchRange range, search_range(self, arguments));
  if (range.empty) return Value(int64_t{0});
  const std::string_view text = range.text.substr(range.begin);
  if (wanted.view().empty()) return Value(static_cast<int64_t>(count_characters(text)) + 1);
  int64_t count = 0;
  for (size_t at = 0; (at = find_bytes(text, wanted.view(), at)) != std::string_view::npos;
       at += wanted.view().size()) {
    ++count;
  }
  return Value(count);
}

Result<Value> replace_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value old_part, text_argument("replace", arguments[0]));
  LLMRUN_ASSIGN(Value new_part, text_argument("replace", arguments[1]));
  int64_t count = -1;
  if (arguments.has(2)) {
    LLMRUN_ASSIGN(count, integer_argument("replace", arguments[2]));
  }
  if (self.as_string().markup()) {
    LLMRUN_ASSIGN(new_part, escape(interpreter.heap(), new_part));
  }
  return replace(interpreter.heap(), self, old_part, new_part, count);
}

Result<Value> join_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const std::vector<Value> parts, elements(interpreter.heap(), arguments[0]));
  for (const Value& part : parts) LLMRUN_TRY(text_argument("join", part));
  return join(interpreter.heap(), self, parts);
}

Result<Value> format_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  NamedValues named;
  for (const auto& [name, value] : arguments.raw.named) named.emplace_back(name, value);
  return format_braces(interpreter.heap(), self, arguments.raw.positional, named);
}

template <bool prefix>
Result<Value> remove_affix(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value affix, text_argument("remove", arguments[0]));
  std::string_view text = self.view();
  if (!prefix_at(text, affix.view(), !prefix)) return self;
  if (prefix) {
    text.remove_prefix(affix.view().size());
  } else {
    text.remove_suffix(affix.view().size());
  }
  return interpreter.heap().part(self, text);
}

template <bool from_right>
Result<Value> partition(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value separator, text_argument("partition", arguments[0]));
  if (separator.view().empty()) return template_error("partition() needs a separator");
  LLMRUN_TRY(heap.spend_bytes(self.text().size()));
  const std::string_view text = self.view();
  const size_t found =
      from_right ? text.rfind(separator.view()) : find_bytes(text, separator.view());
  std::string_view parts[3] = {text, text.substr(text.size()), text.substr(text.size())};
  if (found != std::string_view::npos) {
    parts[0] = text.substr(0, found);
    parts[1] = text.substr(found, separator.view().size());
    parts[2] = text.substr(found + separator.view().size());
  } else if (from_right) {
    std::swap(parts[0], parts[2]);
  }
  std::vector<Value> values;
  for (const std::string_view part : parts) {
    LLMRUN_ASSIGN(Value value, heap.part(self, part));
    values.push_back(std::move(value));
  }
  return heap.list(std::move(values), ObjectKind::kTuple);
}

template <char align>
Result<Value> justify_method(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const int64_t width, integer_argument("center", arguments[0]));
  Value fill;
  if (arguments.has(1)) {
    LLMRUN_ASSIGN(fill, text_argument("center", arguments[1]));
  } else {
    LLMRUN_ASSIGN(fill, interpreter.heap().text(" ", true));
  }
  return justify(interpreter.heap(), self, width, fill, align);
}

Result<Value> zfill(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const int64_t width, integer_argument("zfill", arguments[0]));
  const auto size = static_cast<int64_t>(self.as_string().length());
  if (width <= size) return self;
  LLMRUN_TRY(heap.require(static_cast<uint64_t>(width - size)));
  const std::string_view text = self.view();
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  TextBuilder out = heap.builder();
  out.append(self.text(), 0, sign);
  out.append(std::string(static_cast<size_t>(width - size), '0'), true);
  out.append(self.text(), sign, text.size());
  return heap.text(out);
}

constexpr MethodEntry kMethods[] = {
    {"upper", "", case_method<CaseChange::kUpper>},
    {"lower", "", case_method<CaseChange::kLower>},
    {"casefold", "", case_method<CaseChange::kLower>},
    {"capitalize", "", case_method<CaseChange::kCapitalize>},
    {"title", "", case_method<CaseChange::kTitle>},
    {"swapcase", "", case_method<CaseChange::kSwap>},
    {"strip", "chars?", strip_method<true, true>},
    {"lstrip", "chars?", strip_method<true, false>},
    {"rstrip", "chars?", strip_method<false, true>},
    {"split", "sep? maxsplit?", split_method<false>},
    {"rsplit", "sep? maxsplit?", split_method<true>},
    {"splitlines", "keepends?", splitlines_method},
    {"startswith", "prefix start? end?", affix_method<false>},
    {"endswith", "suffix start? end?", affix_method<true>},
    {"find", "sub start? end?", find_method_of_text<false, false>},
    {"rfind", "sub start? end?", find_method_of_text<true, false>},
    {"index", "sub start? end?", find_method_of_text<false, true>},
    {"rindex", "sub start? end?", find_method_of_text<true, true>},
    {"count", "sub start? end?", count_method},
    {"replace", "old new count?", replace_method},
    {"join", "iterable", join_method},
    {"format", "*", format_method},
    {"removeprefix", "prefix", remove_affix<true>},
    {"removesuffix", "suffix", remove_affix<false>},
    {"partition", "sep", partition<false>},
    {"rpartition", "sep", partition<true>},
    {"center", "width fillchar?", justify_method<'^'>},
    {"ljust", "width fillchar?", justify_method<'<'>},
    {"rjust", "width fillchar?", justify_method<'>'>},
    {"zfill", "width", zfill},
};

// str.isXXX: every character passes, and there is one.
template <bool (*predicate)(uint32_t)>
Result<Value> all_characters(Interpreter& interpreter, const Value& self, const Bound&) {
  const std::string_view text = self.view();
  LLMRUN_TRY(interpreter.heap().spend_bytes(text.size()));
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    if (!predicate(point.value)) return Value(false);
    at += point.bytes;
  }
  return Value(!text.empty());
}

template <bool (*wanted)(uint32_t), bool (*unwanted)(uint32_t)>
Result<Value> letters_have_case(Interpreter& interpreter, const Value& self, const Bound&) {
  const std::string_view text = self.view();
  LLMRUN_TRY(interpreter.heap().spend_bytes(text.size()));
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    if (unwanted(point.value)) return Value(false);
    found |= wanted(point.value);
    at += point.bytes;
  }
  return Value(found);
}

// Title case: an upper case letter starts each run of letters, lower case ones follow.
Result<Value> is_title(Interpreter& interpreter, const Value& self, const Bound&) {
  const std::string_view text = self.view();
  LLMRUN_TRY(interpreter.heap().spend_bytes(text.size()));
  bool found = false;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    if (is_upper(point.value) == in_word && (is_upper(point.value) || is_lower(point.value))) {
      if (is_upper(point.value) || !in_word) return Value(false);
    }
    found |= is_upper(point.value);
    in_word = is_upper(point.value) || is_lower(point.value);
    at += point.bytes;
  }
  return Value(found);
}

Result<Value> is_ascii_method(Interpreter&, const Value& self, const Bound&) {
  return Value(is_ascii(self.view()));
}

Result<Value> is_identifier(Interpreter&, const Value& self, const Bound&) {
  const std::string_view text = self.view();
  if (text.empty() || is_digit(decode_at(text, 0).value)) return Value(false);
  for (size_t at = 0; at < text.size(); at += decode_at(text, at).bytes) {
    if (!is_word(decode_at(text, at).value)) return Value(false);
  }
  return Value(true);
}

bool is_alnum(uint32_t c) { return is_word(c) && c != '_'; }

constexpr MethodEntry kPredicates[] = {
    {"isdigit", "", all_characters<is_digit>},
    {"isdecimal", "", all_characters<is_decimal>},
    {"isnumeric", "", all_characters<is_digit>},
    {"isalpha", "", all_characters<is_alpha>},
    {"isalnum", "", all_characters<is_alnum>},
    {"isspace", "", all_characters<is_space>},
    {"isprintable", "", all_characters<is_printable>},
    {"isupper", "", letters_have_case<is_upper, is_lower>},
    {"islower", "", letters_have_case<is_lower, is_upper>},
    {"istitle", "", is_title},
    {"isascii", "", is_ascii_method},
    {"isidentifier", "", is_identifier},
};

}  // namespace

std::span<const MethodEntry> text_methods() { return kMethods; }
std::span<const MethodEntry> text_predicates() { return kPredicates; }

}  // namespace llmrun::chat::jinja
