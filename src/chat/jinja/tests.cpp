// What may follow `is`.
#include <algorithm>

#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

Result<bool> divisible(Interpreter& interpreter, const Value& input, const Value& by) {
  LLMRUN_ASSIGN(const Value rest, arithmetic(interpreter.heap(), Operator::kModulo, input, by));
  return equal(interpreter.heap(), rest, Value(int64_t{0}));
}

template <Operator op>
Result<bool> comparison(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  return compare(interpreter.heap(), op, input, arguments[0]);
}

// Whether all letters of str(value) have the case, and there is one.
template <bool (*wanted)(uint32_t), bool (*unwanted)(uint32_t)>
Result<bool> has_case(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const Value text, to_string(interpreter.heap(), input));
  bool found = false;
  const std::string_view view = text.view();
  for (size_t at = 0; at < view.size();) {
    const CodePoint point = decode_at(view, at);
    if (unwanted(point.value)) return false;
    found |= wanted(point.value);
    at += point.bytes;
  }
  return found;
}

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.is_string() || value.is_sequence() || value.is_dict() ||
         value.is(ObjectKind::kRange) || value.is(ObjectKind::kLoop);
}

bool is_sequence(const Value& value) {
  return value.is_undefined() || value.is_string() || value.is_list() || value.is_tuple() ||
         value.is_dict() || value.is(ObjectKind::kRange);
}

bool is_callable(const Value& value) {
  if (value.is_undefined()) return true;  // its type has __call__, which raises
  if (!value.is_object()) return false;
  const ObjectKind kind = value.as_object()->kind;
  return kind == ObjectKind::kMacro || kind == ObjectKind::kFunction ||
         kind == ObjectKind::kMethod || kind == ObjectKind::kLoop || kind == ObjectKind::kJoiner;
}

Result<bool> same_as(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  const Value& other = arguments[0];
  if (input.kind() != other.kind()) return false;
  if (input.is_object()) return input.as_object() == other.as_object();
  return equal(interpreter.heap(), input, other);
}

Result<bool> starts_with(Interpreter&, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value text, text_argument("startswith", input));
  LLMRUN_ASSIGN(const Value prefix, text_argument("startswith", arguments[0]));
  return text.view().substr(0, prefix.view().size()) == prefix.view();
}

Result<bool> ends_with(Interpreter&, const Value& input, const Bound& arguments) {
  LLMRUN_ASSIGN(const Value text, text_argument("endswith", input));
  LLMRUN_ASSIGN(const Value suffix, text_argument("endswith", arguments[0]));
  const std::string_view view = text.view();
  return view.size() >= suffix.view().size() &&
         view.substr(view.size() - suffix.view().size()) == suffix.view();
}

template <bool (*predicate)(const Value&)>
Result<bool> test(Interpreter&, const Value& input, const Bound&) {
  return predicate(input);
}

constexpr TestEntry kTests[] = {
    {"defined", "", test<[](const Value& v) { return !v.is_undefined(); }>},
    {"undefined", "", test<[](const Value& v) { return v.is_undefined(); }>},
    {"none", "", test<[](const Value& v) { return v.is_none(); }>},
    {"boolean", "", test<[](const Value& v) { return v.is_bool(); }>},
    {"true", "", test<[](const Value& v) { return v.is_bool() && v.as_bool(); }>},
    {"false", "", test<[](const Value& v) { return v.is_bool() && !v.as_bool(); }>},
    {"integer", "", test<[](const Value& v) { return v.is_int(); }>},
    {"float", "", test<[](const Value& v) { return v.is_float(); }>},
    {"number", "", test<[](const Value& v) { return v.is_number(); }>},
    {"string", "", test<[](const Value& v) { return v.is_string(); }>},
    {"mapping", "", test<[](const Value& v) { return v.is_dict(); }>},
    {"iterable", "", test<is_iterable>},
    {"sequence", "", test<is_sequence>},
    {"callable", "", test<is_callable>},
    {"escaped", "", test<[](const Value& v) { return v.is_string() && v.as_string().markup(); }>},
    {"lower", "", has_case<is_lower, is_upper>},
    {"upper", "", has_case<is_upper, is_lower>},
    {"odd", "",
     [](Interpreter& interpreter, const Value& input, const Bound&) -> Result<bool> {
       LLMRUN_ASSIGN(const Value rest,
                     arithmetic(interpreter.heap(), Operator::kModulo, input, Value(int64_t{2})));
       return equal(interpreter.heap(), rest, Value(int64_t{1}));
     }},
    {"even", "",
     [](Interpreter& interpreter, const Value& input, const Bound&) {
       return divisible(interpreter, input, Value(int64_t{2}));
     }},
    {"divisibleby", "num",
     [](Interpreter& interpreter, const Value& input, const Bound& arguments) {
       return divisible(interpreter, input, arguments[0]);
     }},
    {"sameas", "other", same_as},
    {"startswith", "prefix", starts_with},
    {"endswith", "suffix", ends_with},
    {"in", "seq",
     [](Interpreter& interpreter, const Value& input, const Bound& arguments) {
       return contains(interpreter.heap(), arguments[0], input);
     }},
    {"contains", "item",
     [](Interpreter& interpreter, const Value& input, const Bound& arguments) {
       return contains(interpreter.heap(), input, arguments[0]);
     }},
    {"filter", "",
     [](Interpreter&, const Value& input, const Bound&) -> Result<bool> {
       return input.is_string() && find_filter(input.view()) != nullptr;
     }},
    {"test", "",
     [](Interpreter&, const Value& input, const Bound&) -> Result<bool> {
       return input.is_string() && find_test(input.view()) != nullptr;
     }},
    {"==", "other", comparison<Operator::kEqual>},
    {"eq", "other", comparison<Operator::kEqual>},
    {"equalto", "other", comparison<Operator::kEqual>},
    {"!=", "other", comparison<Operator::kNotEqual>},
    {"ne", "other", comparison<Operator::kNotEqual>},
    {"<", "other", comparison<Operator::kLess>},
    {"lt", "other", comparison<Operator::kLess>},
    {"lessthan", "other", comparison<Operator::kLess>},
    {"<=", "other", comparison<Operator::kLessEqual>},
    {"le", "other", comparison<Operator::kLessEqual>},
    {">", "other", comparison<Operator::kGreater>},
    {"gt", "other", comparison<Operator::kGreater>},
    {"greaterthan", "other", comparison<Operator::kGreater>},
    {">=", "other", comparison<Operator::kGreaterEqual>},
    {"ge", "other", comparison<Operator::kGreaterEqual>},
};

}  // namespace

std::span<const TestEntry> all_tests() { return kTests; }

}  // namespace llmrun::chat::jinja
