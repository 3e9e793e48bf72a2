// Looking builtins up and matching arguments to their parameters.
#include "chat/jinja/builtins.h"

#include <charconv>
#include <unordered_map>

#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {
namespace {

struct ParameterName {
  std::string_view name;
  bool optional = false;
};

// "old new count?" → its names; `rest` is moved past the one that is returned.
ParameterName next_parameter(std::string_view& rest) {
  const size_t end = rest.find(' ');
  ParameterName parameter{rest.substr(0, end), false};
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  if (!parameter.name.empty() && parameter.name.back() == '?') {
    parameter.name.remove_suffix(1);
    parameter.optional = true;
  }
  return parameter;
}

template <typename Entry>
using Index = std::unordered_map<std::string_view, const Entry*>;

template <typename Entry>
Index<Entry> index_of(std::initializer_list<std::span<const Entry>> tables) {
  Index<Entry> index;
  for (const std::span<const Entry> table : tables) {
    for (const Entry& entry : table) index.emplace(entry.name, &entry);
  }
  return index;
}

template <typename Entry>
const Entry* look_up(const Index<Entry>& index, std::string_view name) {
  const auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

}  // namespace

Result<Bound> bind(std::string_view function, std::string_view parameters,
                   CallArguments arguments) {
  Bound bound;
  if (parameters == "*") {
    bound.raw = std::move(arguments);
    return bound;
  }
  size_t used = 0;
  size_t named_used = 0;
  std::string_view rest = parameters;
  while (!rest.empty()) {
    const ParameterName parameter = next_parameter(rest);
    Value value;
    bool given = false;
    if (used < arguments.positional.size()) {
      value = std::move(arguments.positional[used++]);
      given = true;
    }
    for (auto& [name, argument] : arguments.named) {
      if (name != parameter.name) continue;
      if (given) return template_error("{}() got two values for '{}'", function, name);
      value = std::move(argument);
      given = true;
      ++named_used;
    }
    if (!given && !parameter.optional) {
      return template_error("{}() needs its argument '{}'", function, parameter.name);
    }
    bound.values_.push_back(std::move(value));
    bound.given_.push_back(given);
  }
  if (used < arguments.positional.size()) {
    return template_error("{}() takes at most {} arguments, {} were given", function,
                          bound.values_.size(), arguments.positional.size());
  }
  if (named_used < arguments.named.size()) {
    return template_error("{}() has no argument '{}', or it was given twice", function,
                          arguments.named.back().first);
  }
  return bound;
}

const FilterEntry* find_filter(std::string_view name) {
  static const Index<FilterEntry> kIndex =
      index_of<FilterEntry>({text_filters(), more_text_filters(), sequence_filters(),
                             selection_filters(), value_filters()});
  return look_up(kIndex, name);
}

const TestEntry* find_test(std::string_view name) {
  static const Index<TestEntry> kIndex = index_of<TestEntry>({all_tests()});
  return look_up(kIndex, name);
}

const FunctionEntry* find_function(std::string_view name) {
  static const Index<FunctionEntry> kIndex = index_of<FunctionEntry>({global_functions()});
  return look_up(kIndex, name);
}

const MethodEntry* find_method(const Value& self, std::string_view name) {
  static const Index<MethodEntry> kText =
      index_of<MethodEntry>({text_methods(), text_predicates()});
  static const Index<MethodEntry> kList = index_of<MethodEntry>({list_methods()});
  static const Index<MethodEntry> kDict = index_of<MethodEntry>({dict_methods()});
  static const Index<MethodEntry> kHelper = index_of<MethodEntry>({helper_methods()});
  if (self.is_string()) return look_up(kText, name);
  if (!self.is_object()) return nullptr;
  switch (self.as_object()->kind) {
    case ObjectKind::kDict:
      return look_up(kDict, name);
    case ObjectKind::kList:
      return look_up(kList, name);
    case ObjectKind::kTuple:
    case ObjectKind::kRange:
      return name == "index" || name == "count" ? look_up(kList, name) : nullptr;
    case ObjectKind::kLoop:
      return name == "cycle" || name == "changed" ? look_up(kHelper, name) : nullptr;
    case ObjectKind::kCycler:
      return name == "next" || name == "reset" ? look_up(kHelper, name) : nullptr;
    default:
      return nullptr;
  }
}

Result<int64_t> integer_argument(std::string_view function, const Value& value) {
  if (const auto integer = value.integer()) return *integer;
  return template_error("{}() needs an integer, not {}", function, type_name(value));
}

Result<Value> text_argument(std::string_view function, const Value& value) {
  if (value.is_string()) return value;
  if (value.is_undefined()) return template_error("{}", value.undefined_reason());
  return template_error("{}() needs a string, not {}", function, type_name(value));
}

Result<Value> text_input(Interpreter& interpreter, const Value& value) {
  return to_string(interpreter.heap(), value);
}

Result<AttributePath> AttributePath::parse(const Value& attribute) {
  AttributePath path;
  if (attribute.is_undefined() || attribute.is_none()) return path;
  if (attribute.is_int()) {
    path.parts_.push_back(attribute);
    return path;
  }
  if (!attribute.is_string()) {
    return template_error("an attribute is named by a string or a number, not {}",
                          type_name(attribute));
  }
  constexpr size_t kMaxParts = 100;
  std::string_view rest = attribute.view();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const auto number = std::from_chars(part.data(), part.data() + part.size(), index);
    if (!part.empty() && part.front() != '-' && number.ec == std::errc() &&
        number.ptr == part.data() + part.size()) {
      path.parts_.emplace_back(index);
    } else {
      path.parts_.emplace_back(std::make_shared<const StringData>(
          Text(std::string(part), attribute.text().trusted()), false, nullptr));
    }
    if (dot == std::string_view::npos) return path;
    if (path.parts_.size() >= kMaxParts) return template_error("the attribute path is too long");
    rest.remove_prefix(dot + 1);
  }
}

Result<Value> AttributePath::get(Interpreter& interpreter, const Value& value,
                                 const Value* fallback) const {
  Value found = value;
  for (const Value& part : parts_) {
    LLMRUN_TRY(interpreter.heap().spend(1));
    LLMRUN_ASSIGN(found, interpreter.item(found, part));
    if (found.is_undefined() && fallback != nullptr && !fallback->is_none()) found = *fallback;
  }
  return found;
}

}  // namespace llmrun::chat::jinja
