// Text filters of Jinja2 that chat templates seldom use: urlencode, striptags, wordwrap…
#include <algorithm>
#include <array>
#include <cmath>

#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/text_operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

bool is_url_safe(char c, bool slash) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~' || (slash && c == '/');
}

Result<void> url_quote(Interpreter& interpreter, TextBuilder& out, const Value& value, bool query) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, value));
  LLMRUN_TRY(heap.spend_bytes(4 * text.text().size()));
  LLMRUN_TRY(heap.require(3 * text.text().size()));
  std::string quoted;
  for (const char c : text.view()) {
    if (is_url_safe(c, !query)) {
      quoted += c;
    } else if (query && c == ' ') {
      quoted += '+';
    } else {
      quoted += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  out.append(quoted, text.text().trusted());
  return {};
}

Result<Value> urlencode_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  Heap& heap = interpreter.heap();
  TextBuilder out = heap.builder();
  const bool single = input.is_string() || !(input.is_dict() || input.is_sequence());
  if (single) {
    LLMRUN_TRY(url_quote(interpreter, out, input, false));
    return heap.text(out);
  }
  std::vector<Value> pairs;
  if (input.is_dict()) {
    for (const auto& [key, value] : input.as<DictObject>().entries()) {
      LLMRUN_ASSIGN(Value pair, heap.pair(key, value));
      pairs.push_back(std::move(pair));
    }
  } else {
    LLMRUN_ASSIGN(pairs, elements(heap, input));
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    LLMRUN_ASSIGN(const std::vector<Value> parts, elements(heap, pairs[i]));
    if (parts.size() != 2) return template_error("urlencode() needs pairs of name and value");
    if (i > 0) out.append("&", true);
    LLMRUN_TRY(url_quote(interpreter, out, parts[0], true));
    out.append("=", true);
    LLMRUN_TRY(url_quote(interpreter, out, parts[1], true));
  }
  return heap.text(out);
}

// Takes out comments and tags, then joins the words that are left with single blanks.
Result<Value> striptags_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value text, text_input(interpreter, input));
  const std::string_view view = text.view();
  LLMRUN_TRY(heap.spend_bytes(4 * view.size()));
  TextBuilder out = heap.builder();
  size_t at = 0;
  while (at < view.size()) {
    const size_t tag = view.find('<', at);
    out.append(text.text(), at, std::min(tag, view.size()));
    if (tag == std::string_view::npos) break;
    const bool comment = view.substr(tag).substr(0, 4) == "<!--";
    const size_t end = comment ? view.find("-->", tag) : view.find('>', tag);
    if (end == std::string_view::npos) {
      out.append(text.text(), tag, view.size());
      break;
    }
    at = end + (comment ? 3 : 1);
  }
  LLMRUN_ASSIGN(const Value plain, heap.text(out));
  LLMRUN_ASSIGN(const Value words, split(heap, plain, std::nullopt, -1, false));
  LLMRUN_ASSIGN(const Value blank, heap.text(" ", true));
  return join(heap, blank, words.as<ListObject>().items);
}

// One line of text wrapped at blanks; words longer than the width are cut when asked to.
Result<void> wrap_line(Heap& heap, const Value& line, size_t width, bool cut,
                       std::vector<Value>& lines) {
  std::string_view rest = strip_space(line.view(), false, true);
  while (!rest.empty()) {
    LLMRUN_TRY(heap.spend(1 + width));
    size_t end = byte_offset(rest, width);
    if (end < rest.size() && !is_space(decode_at(rest, end).value)) {
      const size_t blank = rest.substr(0, end).find_last_of(" \t");
      if (blank != std::string_view::npos && !strip_space(rest.substr(0, blank)).empty()) {
        end = blank;
      } else if (!cut) {
        end = std::min(rest.find_first_of(" \t", end), rest.size());
      }
    }
    LLMRUN_ASSIGN(Value piece, heap.part(line, strip_space(rest.substr(0, end), false, true)));
    lines.push_back(std::move(piece));
    rest = strip_space(rest.substr(end), true, false);
  }
  return {};
}

Result<Value> wordwrap_filter(Interpreter& interpreter, const Value& input,
                              const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const Value text, text_argument("wordwrap", input));
  int64_t width = 79;
  if (arguments.has(0)) {
    LLMRUN_ASSIGN(width, integer_argument("wordwrap", arguments[0]));
  }
  if (width <= 0) return template_error("wordwrap() needs a width above 0");
  Value separator;
  if (arguments.has(2) && !arguments[2].is_none()) {
    LLMRUN_ASSIGN(separator, text_argument("wordwrap", arguments[2]));
  } else {
    LLMRUN_ASSIGN(separator, heap.text("\n", true));
  }
  LLMRUN_ASSIGN(const std::vector<Value> paragraphs, split_lines(heap, text, false));
  std::vector<Value> lines;
  for (const Value& paragraph : paragraphs) {
    const size_t before = lines.size();
    LLMRUN_TRY(
        wrap_line(heap, paragraph, static_cast<size_t>(width), arguments.flag(1, true), lines));
    if (lines.size() == before) lines.push_back(paragraph);
  }
  return join(heap, separator, lines);
}

Result<Value> filesizeformat_filter(Interpreter& interpreter, const Value& input,
                                    const Bound& arguments) {
  if (!input.is_number()) {
    return template_error("filesizeformat() needs a number, not {}", type_name(input));
  }
  const bool binary = arguments.flag(0, false);
  const double base = binary ? 1024 : 1000;
  const double bytes = input.number();
  if (!std::isfinite(bytes)) return template_error("filesizeformat() needs a finite number");
  Heap& heap = interpreter.heap();
  if (bytes == 1) return heap.text("1 Byte", true);
  if (bytes < base) return heap.text(fmt::format("{:.0f} Bytes", std::trunc(bytes)), true);
  static constexpr std::array<std::string_view, 8> kPrefixes = {"k", "M", "G", "T",
                                                                "P", "E", "Z", "Y"};
  double unit = base;
  size_t prefix = 0;
  while (prefix + 1 < kPrefixes.size() && bytes >= unit * base) {
    unit *= base;
    ++prefix;
  }
  const std::string name = binary ? (prefix == 0 ? "Ki" : fmt::format("{}i", kPrefixes[prefix]))
                                  : std::string(kPrefixes[prefix]);
  return heap.text(fmt::format("{:.1f} {}B", bytes / unit, name), true);
}

Result<Value> xmlattr_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  if (!input.is_dict()) return template_error("xmlattr() needs a dictionary");
  TextBuilder out = heap.builder();
  for (const auto& [key, value] : input.as<DictObject>().entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    LLMRUN_ASSIGN(const Value name, text_argument("xmlattr", key));
    if (name.view().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      return template_error("xmlattr() cannot write the attribute name '{}'", name.view());
    }
    if (out.size() > 0 || arguments.flag(0, true)) out.append(" ", true);
    LLMRUN_ASSIGN(const Value shown, escape(heap, value));
    LLMRUN_ASSIGN(const Value shown_name, escape(heap, name));
    out.append(shown_name.text());
    out.append("=\"", true);
    out.append(shown.text());
    out.append("\"", true);
  }
  return heap.text(out);
}

constexpr FilterEntry kFilters[] = {
    {"urlencode", "", urlencode_filter},
    {"striptags", "", striptags_filter},
    {"wordwrap", "width? break_long_words? wrapstring? break_on_hyphens?", wordwrap_filter},
    {"filesizeformat", "binary?", filesizeformat_filter},
    {"xmlattr", "autospace?", xmlattr_filter},
};

}  // namespace

std::span<const FilterEntry> more_text_filters() { return kFilters; }

}  // namespace llmrun::chat::jinja
