// map, select, reject and their attribute forms: filters that apply filters and tests.
#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {
namespace {

// The arguments after the first `skip` positional ones.
CallArguments rest_of(const CallArguments& arguments, size_t skip) {
  CallArguments rest;
  rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(skip),
                         arguments.positional.end());
  rest.named = arguments.named;
  return rest;
}

Result<Value> map_attribute(Interpreter& interpreter, const std::vector<Value>& items,
                            const CallArguments& arguments) {
  Value attribute;
  Value fallback(None{});
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") {
      attribute = value;
    } else if (name == "default") {
      fallback = value;
    } else {
      return template_error("map() has no argument '{}'", name);
    }
  }
  LLMRUN_ASSIGN(const AttributePath path, AttributePath::parse(attribute));
  std::vector<Value> result;
  for (const Value& item : items) {
    LLMRUN_ASSIGN(Value value, path.get(interpreter, item, &fallback));
    result.push_back(std::move(value));
  }
  return interpreter.heap().list(std::move(result), ObjectKind::kIterator);
}

Result<Value> map_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  // Like Jinja2: what is false (none, 0, "") is empty here, and does not have to be iterable.
  if (!truthy(input)) return interpreter.heap().list({}, ObjectKind::kIterator);
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(interpreter.heap(), input));
  const CallArguments& given = arguments.raw;
  if (given.positional.empty() && !given.named.empty()) {
    return map_attribute(interpreter, items, given);
  }
  if (given.positional.empty()) return template_error("map() needs a filter or an attribute");
  LLMRUN_ASSIGN(const Value name, text_argument("map", given.positional[0]));
  std::vector<Value> result;
  for (const Value& item : items) {
    LLMRUN_ASSIGN(Value value, interpreter.apply_filter(name.view(), item, rest_of(given, 1)));
    result.push_back(std::move(value));
  }
  return interpreter.heap().list(std::move(result), ObjectKind::kIterator);
}

// Keeps the items whose test comes out as `wanted`; `by_attribute`: the first argument names what
// is tested.
template <bool wanted, bool by_attribute>
Result<Value> select_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  if (!truthy(input)) return interpreter.heap().list({}, ObjectKind::kIterator);
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(interpreter.heap(), input));
  const std::vector<Value>& given = arguments.raw.positional;
  AttributePath path;
  if (by_attribute) {
    if (given.empty()) return template_error("selectattr() needs the name of an attribute");
    LLMRUN_ASSIGN(path, AttributePath::parse(given[0]));
  }
  const size_t test_at = by_attribute ? 1 : 0;
  Value test;
  if (given.size() > test_at) {
    LLMRUN_ASSIGN(test, text_argument("select", given[test_at]));
  }
  std::vector<Value> result;
  for (const Value& item : items) {
    LLMRUN_ASSIGN(const Value subject, path.get(interpreter, item));
    bool holds = truthy(subject);
    if (test.is_string()) {
      LLMRUN_ASSIGN(
          holds, interpreter.apply_test(test.view(), subject, rest_of(arguments.raw, test_at + 1)));
    }
    if (holds == wanted) result.push_back(item);
  }
  return interpreter.heap().list(std::move(result), ObjectKind::kIterator);
}

constexpr FilterEntry kFilters[] = {
    {"map", "*", map_filter},
    {"select", "*", select_filter<true, false>},
    {"reject", "*", select_filter<false, false>},
    {"selectattr", "*", select_filter<true, true>},
    {"rejectattr", "*", select_filter<false, true>},
};

}  // namespace

std::span<const FilterEntry> selection_filters() { return kFilters; }

}  // namespace llmrun::chat::jinja
