// The reader is nlohmann's event parser, so that a budget stops it before memory is used up.
#include "chat/jinja/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

constexpr int kMaxDepth = 200;  // nested arrays and objects, read or written

void write_escaped(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (size_t next = 0; next < text.size();) {
    const size_t at = next;
    const CodePoint point = decode_at(text, at);
    next += point.bytes;
    const uint32_t c = point.value;
    const auto hex = [&out](uint32_t unit) { out += fmt::format("\\u{:04x}", unit); };
    if (append_common_escape(out, c, '"')) continue;
    if (c == '\f') {
      out += "\\f";
    } else if (c == '\b') {
      out += "\\b";
    } else if (c < 0x20U || (ensure_ascii && c == 0x7FU)) {
      hex(c);
    } else if (c == CodePoint::kInvalid && ensure_ascii) {
      hex(0xDC00U + static_cast<unsigned char>(text[at]));  // Python's surrogateescape
    } else if (c < 0x80U || !ensure_ascii) {
      out.append(text.substr(at, point.bytes));
    } else if (c < 0x10000U) {
      hex(c);
    } else {
      hex(0xD800U + ((c - 0x10000U) >> 10U));
      hex(0xDC00U + ((c - 0x10000U) & 0x3FFU));
    }
  }
  out += '"';
}

Result<void> write_text(Heap& heap, TextBuilder& out, const Value& value, bool ensure_ascii) {
  LLMRUN_TRY(heap.spend_bytes(value.text().size()));
  LLMRUN_TRY(heap.require(value.text().size()));
  std::string escaped;
  write_escaped(escaped, value.view(), ensure_ascii);
  out.append(escaped, value.text().trusted());
  return {};
}

std::string json_float(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return float_repr(number);
}

void new_line(TextBuilder& out, const JsonStyle& style, int depth) {
  if (!style.indent) return;
  out.append("\n", true);
  for (int i = 0; i < depth; ++i) out.append(*style.indent, true);
}

Result<void> write_key(Heap& heap, TextBuilder& out, const Value& key, bool ensure_ascii) {
  switch (key.kind()) {
    case Value::Kind::kString:
      return write_text(heap, out, key, ensure_ascii);
    case Value::Kind::kBool:
      out.append(key.as_bool() ? "\"true\"" : "\"false\"", true);
      return {};
    case Value::Kind::kNone:
      out.append("\"null\"", true);
      return {};
    case Value::Kind::kInt:
      out.append(fmt::format("\"{}\"", key.as_int()), true);
      return {};
    case Value::Kind::kFloat:
      out.append(fmt::format("\"{}\"", json_float(key.as_float())), true);
      return {};
    default:
      return template_error("a JSON key must be a string or a number, not {}", type_name(key));
  }
}

Result<void> write_dict(Heap& heap, TextBuilder& out, const DictObject& dict,
                        const JsonStyle& style, int depth) {
  std::vector<const DictObject::Entry*> order;
  order.reserve(dict.size());
  for (const DictObject::Entry& entry : dict.entries()) order.push_back(&entry);
  if (style.sort_keys) {
    std::optional<Error> failure;
    std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
      if (failure) return false;
      const Result<bool> before = less(heap, a->key, b->key);
      if (!before) failure = before.error();
      return before.value_or(false);
    });
    if (failure) return tl::unexpected<Error>(std::move(*failure));
  }
  if (order.empty()) {
    out.append("{}", true);
    return {};
  }
  out.append("{", true);
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0) out.append(style.item_separator, true);
    new_line(out, style, depth + 1);
    LLMRUN_TRY(write_key(heap, out, order[i]->key, style.ensure_ascii));
    out.append(style.key_separator, true);
    LLMRUN_TRY(write_json(heap, out, order[i]->value, style, depth + 1));
  }
  new_line(out, style, depth);
  out.append("}", true);
  return {};
}

Result<void> write_list(Heap& heap, TextBuilder& out, const ListObject& list,
                        const JsonStyle& style, int depth) {
  if (list.items.empty()) {
    out.append("[]", true);
    return {};
  }
  out.append("[", true);
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(style.item_separator, true);
    new_line(out, style, depth + 1);
    LLMRUN_TRY(write_json(heap, out, list.items[i], style, depth + 1));
  }
  new_line(out, style, depth);
  out.append("]", true);
  return {};
}

// Builds values from the events of the parser. Each handler returns false to stop; the reason is
// then in failure().
class JsonBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonBuilder(Heap& heap) : heap_(heap) {}

  bool null() override { return add(Value(None{})); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(int64_t value) override { return add(Value(value)); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX)) return add(Value(static_cast<double>(value)));
    return add(Value(static_cast<int64_t>(value)));
  }
  bool number_float(double value, const std::string&) override { return add(Value(value)); }
  bool string(std::string& value) override {
    Result<Value> text = heap_.text(Text(std::move(value), false));
    return text ? add(std::move(*text)) : fail(std::move(text).error());
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool key(std::string& value) override {
    Result<Value> text = heap_.text(Text(std::move(value), false));
    if (!text) return fail(std::move(text).error());
    open_.back().key = std::move(*text);
    return true;
  }
  bool start_object(size_t) override {
    Result<DictObject*> dict = heap_.dict();
    return dict ? enter(Value(*dict)) : fail(std::move(dict).error());
  }
  bool end_object() override { return leave(); }
  bool start_array(size_t) override {
    Result<Value> list = heap_.list({});
    return list ? enter(std::move(*list)) : fail(std::move(list).error());
  }
  bool end_array() override { return leave(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    Result<Value> failed = template_error("not valid JSON at byte {}", position);
    return fail(std::move(failed).error());
  }

  Value take() { return std::move(root_); }
  std::optional<Error>& failure() { return failure_; }

 private:
  struct Open {
    Value container;
    Value key;
  };

  bool fail(Error error) {
    failure_ = std::move(error);
    return false;
  }

  bool add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Open& top = open_.back();
    Result<void> added = top.container.is_dict()
                             ? heap_.set(top.container.as<DictObject>(), top.key, std::move(value))
                             : heap_.append(top.container.as<ListObject>(), std::move(value));
    return added ? true : fail(std::move(added).error());
  }

  bool enter(Value container) {
    if (open_.size() >= kMaxDepth) {
      Result<Value> failed = template_error("nested more than {} levels deep", kMaxDepth);
      return fail(std::move(failed).error());
    }
    if (!add(container)) return false;
    open_.push_back({std::move(container), Value()});
    return true;
  }

  bool leave() {
    open_.pop_back();
    return true;
  }

  Heap& heap_;
  Value root_;
  std::vector<Open> open_;
  std::optional<Error> failure_;
};

}  // namespace

Result<void> write_json(Heap& heap, TextBuilder& out, const Value& value, const JsonStyle& style,
                        int depth) {
  LLMRUN_TRY(heap.spend(1));
  if (depth > kMaxDepth) {
    return template_error("a value is nested too deeply (or contains itself) for tojson");
  }
  switch (value.kind()) {
    case Value::Kind::kNone:
      out.append("null", true);
      return {};
    case Value::Kind::kBool:
      out.append(value.as_bool() ? "true" : "false", true);
      return {};
    case Value::Kind::kInt:
      out.append(std::to_string(value.as_int()), true);
      return {};
    case Value::Kind::kFloat:
      out.append(json_float(value.as_float()), true);
      return {};
    case Value::Kind::kString:
      return write_text(heap, out, value, style.ensure_ascii);
    case Value::Kind::kObject:
      if (value.is_dict()) return write_dict(heap, out, value.as<DictObject>(), style, depth);
      if (value.is_list() || value.is_tuple()) {
        return write_list(heap, out, value.as<ListObject>(), style, depth);
      }
      break;
    case Value::Kind::kUndefined:
      break;
  }
  return template_error("a value of type {} cannot be written as JSON", type_name(value));
}

Result<Value> parse_json(Heap& heap, std::string_view json, std::string_view what) {
  LLMRUN_TRY(heap.spend_bytes(json.size()));
  LLMRUN_TRY(heap.require(json.size()));
  JsonBuilder builder(heap);
  bool parsed = false;
  try {
    parsed = nlohmann::json::sax_parse(json.begin(), json.end(), &builder);
  } catch (const std::exception& exception) {
    return template_error("cannot read {}: {}", what, exception.what());
  }
  if (!parsed) {
    return template_error("cannot read {}: {}", what,
                          builder.failure() ? builder.failure()->message : "malformed JSON");
  }
  return builder.take();
}

}  // namespace llmrun::chat::jinja
