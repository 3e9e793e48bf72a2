// str() and repr() of values, as Python prints them.
#include <charconv>
#include <cmath>

#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

constexpr int kMaxDepth = 100;

// 'text' with Python's choice of quotes and escapes.
void quote(std::string& out, std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const bool both = single && text.find('"') != std::string_view::npos;
  const char mark = single && !both ? '"' : '\'';
  out += mark;
  for (size_t next = 0; next < text.size();) {
    const size_t at = next;
    const CodePoint point = decode_at(text, at);
    next += point.bytes;
    const uint32_t c = point.value;
    if (append_common_escape(out, c, mark)) continue;
    if (c == CodePoint::kInvalid) {
      out += text[at];  // passed through: bytes that are no character have no escape
    } else if (is_printable(c)) {
      out.append(text.substr(at, point.bytes));
    } else if (c < 0x100U) {
      out += fmt::format("\\x{:02x}", c);
    } else if (c < 0x10000U) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += fmt::format("\\U{:08x}", c);
    }
  }
  out += mark;
}

bool may_trust(const Value& value) { return !value.is_string() || value.text().trusted(); }

Result<void> write_items(Heap& heap, TextBuilder& out, const std::vector<Value>& items,
                         std::string_view open, std::string_view close, int depth) {
  out.append(open, true);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ", true);
    LLMRUN_TRY(write_repr(heap, out, items[i], depth + 1));
  }
  out.append(close, true);
  return {};
}

Result<void> write_list(Heap& heap, TextBuilder& out, const Value& value, int depth) {
  const auto& list = value.as<ListObject>();
  switch (list.kind) {
    case ObjectKind::kTuple:
      return write_items(heap, out, list.items, "(", list.items.size() == 1 ? ",)" : ")", depth);
    case ObjectKind::kDictKeys:
      return write_items(heap, out, list.items, "dict_keys([", "])", depth);
    case ObjectKind::kDictValues:
      return write_items(heap, out, list.items, "dict_values([", "])", depth);
    case ObjectKind::kDictItems:
      return write_items(heap, out, list.items, "dict_items([", "])", depth);
    case ObjectKind::kIterator:
      out.append("<generator object>", true);
      return {};
    default:
      return write_items(heap, out, list.items, "[", "]", depth);
  }
}

Result<void> write_dict(Heap& heap, TextBuilder& out, const Value& value, int depth) {
  const auto& dict = value.as<DictObject>();
  out.append(dict.kind == ObjectKind::kNamespace ? "<Namespace {" : "{", true);
  bool first = true;
  for (const DictObject::Entry& entry : dict.entries()) {
    if (!first) out.append(", ", true);
    first = false;
    LLMRUN_TRY(write_repr(heap, out, entry.key, depth + 1));
    out.append(": ", true);
    LLMRUN_TRY(write_repr(heap, out, entry.value, depth + 1));
  }
  out.append(dict.kind == ObjectKind::kNamespace ? "}>" : "}", true);
  return {};
}

Result<void> write_object(Heap& heap, TextBuilder& out, const Value& value, int depth) {
  if (depth > kMaxDepth) {
    return template_error("a value is nested too deeply (or contains itself) to be printed");
  }
  if (value.is_sequence()) return write_list(heap, out, value, depth);
  switch (value.as_object()->kind) {
    case ObjectKind::kDict:
    case ObjectKind::kNamespace:
      return write_dict(heap, out, value, depth);
    case ObjectKind::kRange: {
      const auto& range = value.as<RangeObject>();
      out.append(range.step == 1
                     ? fmt::format("range({}, {})", range.start, range.stop)
                     : fmt::format("range({}, {}, {})", range.start, range.stop, range.step),
                 true);
      return {};
    }
    default:
      out.append(fmt::format("<{}>", type_name(value)), true);
      return {};
  }
}

}  // namespace

std::string float_repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char digits[64];
  const auto shortest =
      std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific);
  const std::string_view text(digits, static_cast<size_t>(shortest.ptr - digits));
  const size_t mark = text.find('e');
  int exponent = 0;
  const size_t sign = text[mark + 1] == '+' ? 2 : 1;
  std::from_chars(text.data() + mark + sign, text.data() + text.size(), exponent);
  if (exponent >= -4 && exponent < 16) {
    const auto plain =
        std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed);
    std::string out(digits, static_cast<size_t>(plain.ptr - digits));
    if (out.find('.') == std::string::npos) out += ".0";
    return out;
  }
  return fmt::format("{}e{}{:02}", text.substr(0, mark), exponent < 0 ? '-' : '+',
                     std::abs(exponent));
}

Result<void> write_repr(Heap& heap, TextBuilder& out, const Value& value, int depth) {
  LLMRUN_TRY(heap.spend(1));
  switch (value.kind()) {
    case Value::Kind::kUndefined:
      out.append("Undefined", true);
      return {};
    case Value::Kind::kString: {
      if (value.text().size() > heap.free_bytes()) return heap.require(UINT64_MAX);
      LLMRUN_TRY(heap.spend_bytes(value.text().size()));
      std::string quoted;
      if (value.as_string().markup()) quoted += "Markup(";
      quote(quoted, value.view());
      if (value.as_string().markup()) quoted += ')';
      out.append(quoted, may_trust(value));
      return {};
    }
    case Value::Kind::kObject:
      return write_object(heap, out, value, depth);
    default:
      return write_string(heap, out, value);
  }
}

Result<void> write_string(Heap& heap, TextBuilder& out, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kUndefined:
      return {};
    case Value::Kind::kNone:
      out.append("None", true);
      return {};
    case Value::Kind::kBool:
      out.append(value.as_bool() ? "True" : "False", true);
      return {};
    case Value::Kind::kInt:
      out.append(std::to_string(value.as_int()), true);
      return {};
    case Value::Kind::kFloat:
      out.append(float_repr(value.as_float()), true);
      return {};
    case Value::Kind::kString:
      LLMRUN_TRY(heap.spend_bytes(value.text().size()));
      out.append(value.text());
      return {};
    case Value::Kind::kObject:
      return write_object(heap, out, value, 0);
  }
  return {};
}

Result<Value> to_string(Heap& heap, const Value& value) {
  if (value.is_string()) return value;
  TextBuilder out = heap.builder();
  LLMRUN_TRY(write_string(heap, out, value));
  return heap.text(out);
}

Result<Value> repr(Heap& heap, const Value& value) {
  TextBuilder out = heap.builder();
  LLMRUN_TRY(write_repr(heap, out, value));
  return heap.text(out);
}

}  // namespace llmrun::chat::jinja
