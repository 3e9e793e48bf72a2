// Functions of Go templates, with the rules of Go's text/template.
#include "chat/go_template/functions.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace llmrun::chat::go_template {
namespace {

template <typename... Args>
tl::unexpected<Error> wrong(fmt::format_string<Args...> text, Args&&... args) {
  return make_error(ErrorCode::kBadModel, text, std::forward<Args>(args)...);
}

struct Entry {
  std::string_view name;
  Function function;
  size_t min_arguments;
  size_t max_arguments;
};
constexpr size_t kMany = SIZE_MAX;
constexpr std::array kFunctions = {
    Entry{"and", Function::kAnd, 1, kMany},
    Entry{"or", Function::kOr, 1, kMany},
    Entry{"not", Function::kNot, 1, 1},
    Entry{"eq", Function::kEq, 1, kMany},
    Entry{"ne", Function::kNe, 2, 2},
    Entry{"lt", Function::kLt, 2, 2},
    Entry{"le", Function::kLe, 2, 2},
    Entry{"gt", Function::kGt, 2, 2},
    Entry{"ge", Function::kGe, 2, 2},
    Entry{"len", Function::kLen, 1, 1},
    Entry{"index", Function::kIndex, 1, kMany},
    Entry{"slice", Function::kSlice, 1, kMany},
    Entry{"print", Function::kPrint, 0, kMany},
    Entry{"println", Function::kPrintln, 0, kMany},
    Entry{"printf", Function::kPrintf, 1, kMany},
    Entry{"html", Function::kHtml, 0, kMany},
    Entry{"urlquery", Function::kUrlQuery, 0, kMany},
    Entry{"json", Function::kJson, 1, 1},
    Entry{"currentDate", Function::kCurrentDate, 0, kMany},
    Entry{"yesterdayDate", Function::kYesterdayDate, 0, kMany},
    Entry{"toTypeScriptType", Function::kToTypeScriptType, 1, 1},
};

bool is_number(const Value& value) {
  return value.as_int() != nullptr || value.as_float() != nullptr;
}
bool is_basic(const Value& value) {
  return value.as_bool() != nullptr || value.as_text() != nullptr || is_number(value);
}

Result<bool> equal(const Value& a, const Value& b) {
  if (a.is_nil() || b.is_nil()) return a.is_nil() && b.is_nil();
  if (!a.same_kind(b)) {
    return wrong("eq: a {} cannot be compared with a {}", type_name(a), type_name(b));
  }
  if (!is_basic(a)) return wrong("eq: values of the type {} cannot be compared", type_name(a));
  if (const bool* const x = a.as_bool()) return *x == *b.as_bool();
  if (const int64_t* const x = a.as_int()) return *x == *b.as_int();
  if (const double* const x = a.as_float()) return *x == *b.as_float();
  return a.as_text()->view() == b.as_text()->view();
}

Result<Value> equal_to_any(std::span<const Value> arguments) {
  if (arguments.size() < 2) return wrong("eq: there is nothing to compare with");
  for (const Value& other : arguments.subspan(1)) {
    LLMRUN_ASSIGN(const bool same, equal(arguments[0], other));
    if (same) return Value(true);
  }
  return Value(false);
}

Result<bool> less(const Value& a, const Value& b) {
  if (!is_basic(a) || !is_basic(b) || a.as_bool() != nullptr || !a.same_kind(b)) {
    return wrong("a {} and a {} have no order", type_name(a), type_name(b));
  }
  if (const int64_t* const x = a.as_int()) return *x < *b.as_int();
  if (const double* const x = a.as_float()) return *x < *b.as_float();
  return a.as_text()->view() < b.as_text()->view();
}

// Go's definitions: le is lt or eq; gt and ge are their negations, also for NaN.
Result<Value> compare(Function function, const Value& a, const Value& b) {
  LLMRUN_ASSIGN(const bool is_less, less(a, b));
  LLMRUN_ASSIGN(const bool is_equal, equal(a, b));
  switch (function) {
    case Function::kLt:
      return Value(is_less);
    case Function::kLe:
      return Value(is_less || is_equal);
    case Function::kGt:
      return Value(!(is_less || is_equal));
    default:
      return Value(!is_less);
  }
}

Result<Value> length(const Value& value) {
  if (const Text* const text = value.as_text()) return Value(static_cast<int64_t>(text->size()));
  if (const List* const list = value.as_list()) {
    return Value(static_cast<int64_t>(list->items.size()));
  }
  if (const Object* const object = value.as_object(); object != nullptr && !object->is_struct) {
    return Value(static_cast<int64_t>(object->members.size()));
  }
  return wrong("len: a {} has no length", type_name(value));
}

Result<size_t> position(const Value& index, size_t limit, std::string_view what) {
  const int64_t* const at = index.as_int();
  if (at == nullptr) return wrong("{}: an index cannot be a {}", what, type_name(index));
  if (*at < 0 || static_cast<uint64_t>(*at) > limit) {
    return wrong("{}: index out of range: {}", what, *at);
  }
  return static_cast<size_t>(*at);
}

Result<Value> element(const Value& item, const Value& index) {
  if (item.is_nil()) return wrong("index of untyped nil");
  if (const Object* const object = item.as_object(); object != nullptr && !object->is_struct) {
    const Text* const key = index.as_text();
    if (key == nullptr) return wrong("index: a {} is no key of a map", type_name(index));
    const Value* const found = object->find(key->view());
    return found == nullptr ? Value() : *found;
  }
  const List* const list = item.as_list();
  const Text* const text = item.as_text();
  if (list == nullptr && text == nullptr) {
    return wrong("can't index item of type {}", type_name(item));
  }
  const size_t size = list != nullptr ? list->items.size() : text->size();
  LLMRUN_ASSIGN(const size_t at, position(index, size, "index"));
  if (at == size) return wrong("index: index out of range: {}", at);
  if (list != nullptr) return list->items[at];
  return Value(static_cast<int64_t>(static_cast<unsigned char>(text->view()[at])));
}

Result<Value> slice(std::span<const Value> arguments) {
  const Value& item = arguments[0];
  if (item.is_nil()) return wrong("slice of untyped nil");
  const List* const list = item.as_list();
  const Text* const text = item.as_text();
  if (list == nullptr && text == nullptr) {
    return wrong("can't slice item of type {}", type_name(item));
  }
  if (arguments.size() > (list != nullptr ? 4U : 3U)) {
    return wrong("slice: too many indexes: {}", arguments.size() - 1);
  }
  const size_t size = list != nullptr ? list->items.size() : text->size();
  std::array<size_t, 3> bounds = {0, size, size};
  for (size_t i = 1; i < arguments.size(); ++i) {
    LLMRUN_ASSIGN(bounds[i - 1], position(arguments[i], size, "slice"));
  }
  if (bounds[0] > bounds[1] || bounds[1] > bounds[2]) {
    return wrong("invalid slice index: {} > {}", std::max(bounds[0], bounds[1]),
                 std::min(bounds[1], bounds[2]));
  }
  if (list != nullptr) {
    using Step = std::vector<Value>::difference_type;
    return Value(make_list({list->items.begin() + static_cast<Step>(bounds[0]),
                            list->items.begin() + static_cast<Step>(bounds[1])}));
  }
  TextBuilder part(UINT64_MAX);
  part.append(*text, bounds[0], bounds[1]);
  return Value(part.take());
}

Result<Value> taken(TextBuilder& out) {
  if (out.overflow()) return wrong("a text grew past the memory that a template may use");
  return Value(out.take());
}

// fmt.Sprint: a blank between two operands of which neither is a text; println: between all.
Result<Value> print_all(std::span<const Value> values, bool lines, uint64_t max_bytes) {
  TextBuilder out(max_bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    const bool texts =
        values[i].as_text() != nullptr || (i > 0 && values[i - 1].as_text() != nullptr);
    if (i > 0 && (lines || !texts)) out.append(" ", true);
    print(out, values[i]);
  }
  if (lines) out.append("\n", true);
  return taken(out);
}

std::string escape_html(char c) {
  switch (c) {
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '&':
      return "&amp;";
    case '"':
      return "&#34;";
    case '\'':
      return "&#39;";
    case '\0':
      return "\xEF\xBF\xBD";
    default:
      return std::string(1, c);
  }
}

std::string escape_query(char c) {
  const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
  if (plain) return std::string(1, c);
  return c == ' ' ? "+" : fmt::format("%{:02X}", static_cast<unsigned char>(c));
}

Result<Value> escape(std::span<const Value> values, std::string (*escape_one)(char),
                     uint64_t max_bytes) {
  std::vector<Value> shown(values.begin(), values.end());
  for (Value& value : shown) {
    if (value.is_nil()) value = Value::text("<no value>", true);
  }
  LLMRUN_ASSIGN(const Value joined, print_all(shown, false, max_bytes));
  const Text& text = *joined.as_text();
  TextBuilder out(max_bytes);
  for (size_t i = 0; i < text.size(); ++i) {
    out.append(escape_one(text.view()[i]), text.trusted_at(i));
  }
  return taken(out);
}

Value date(std::tm day, int days_later) {
  day.tm_mday += days_later;
  day.tm_isdst = -1;
  std::tm normal = day;
  (void)timegm(&normal);  // carries the days over into months
  return Value::text(
      fmt::format("{:04}-{:02}-{:02}", normal.tm_year + 1900, normal.tm_mon + 1, normal.tm_mday),
      true);
}

Value type_script_type(const Value& property) {
  if (const Object* const object = property.as_object()) {
    if (const Value* const type = object->find("ToTypeScriptType")) return *type;
  }
  return Value::text("any", true);
}

}  // namespace

std::optional<Function> find_function(std::string_view name) {
  for (const Entry& entry : kFunctions) {
    if (entry.name == name) return entry.function;
  }
  return std::nullopt;
}

Result<Value> call(Function function, std::span<const Value> arguments,
                   const CallContext& context) {
  const auto entry = std::find_if(kFunctions.begin(), kFunctions.end(),
                                  [&](const Entry& e) { return e.function == function; });
  if (arguments.size() < entry->min_arguments || arguments.size() > entry->max_arguments) {
    return wrong("wrong number of args for {}: {}", entry->name, arguments.size());
  }
  switch (function) {
    case Function::kAnd:
    case Function::kOr:
      break;
    case Function::kNot:
      return Value(!truth(arguments[0]));
    case Function::kEq:
      return equal_to_any(arguments);
    case Function::kNe: {
      LLMRUN_ASSIGN(const bool same, equal(arguments[0], arguments[1]));
      return Value(!same);
    }
    case Function::kLt:
    case Function::kLe:
    case Function::kGt:
    case Function::kGe:
      return compare(function, arguments[0], arguments[1]);
    case Function::kLen:
      return length(arguments[0]);
    case Function::kIndex: {
      Value item = arguments[0];
      if (item.is_nil()) return wrong("index of untyped nil");
      for (const Value& index : arguments.subspan(1)) {
        LLMRUN_ASSIGN(item, element(item, index));
      }
      return item;
    }
    case Function::kSlice:
      return slice(arguments);
    case Function::kPrint:
      return print_all(arguments, false, context.max_bytes);
    case Function::kPrintln:
      return print_all(arguments, true, context.max_bytes);
    case Function::kPrintf:
      return format(arguments, context.max_bytes);
    case Function::kHtml:
      return escape(arguments, escape_html, context.max_bytes);
    case Function::kUrlQuery:
      return escape(arguments, escape_query, context.max_bytes);
    case Function::kJson: {
      TextBuilder out(context.max_bytes);
      write_json(out, arguments[0]);
      return taken(out);
    }
    case Function::kCurrentDate:
      return date(context.now, 0);
    case Function::kYesterdayDate:
      return date(context.now, -1);
    case Function::kToTypeScriptType:
      return type_script_type(arguments[0]);
  }
  return wrong("{} is no function that can be called here", entry->name);
}

}  // namespace llmrun::chat::go_template
