// Filters, tests, methods and global functions: one table entry each.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/jinja/heap.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

class Interpreter;

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments matched to a parameter list. Entries with the parameter list "*" take them unmatched,
// in `raw`.
class Bound {
 public:
  bool has(size_t index) const { return given_[index]; }
  // Undefined when the argument was not given.
  const Value& operator[](size_t index) const { return values_[index]; }
  // A flag; `fallback` when it was not given.
  bool flag(size_t index, bool fallback) const {
    return given_[index] ? truthy(values_[index]) : fallback;
  }

  CallArguments raw;

 private:
  friend Result<Bound> bind(std::string_view, std::string_view, CallArguments);

  std::vector<Value> values_;
  std::vector<bool> given_;
};

// `parameters` is a list of names with blanks between; "?" after a name: it may be left out.
Result<Bound> bind(std::string_view function, std::string_view parameters, CallArguments arguments);

struct FilterEntry {
  std::string_view name;
  std::string_view parameters;
  Result<Value> (*function)(Interpreter&, const Value& input, const Bound& arguments);
};

struct TestEntry {
  std::string_view name;
  std::string_view parameters;
  Result<bool> (*function)(Interpreter&, const Value& input, const Bound& arguments);
};

struct MethodEntry {
  std::string_view name;
  std::string_view parameters;
  Result<Value> (*function)(Interpreter&, const Value& self, const Bound& arguments);
};

struct FunctionEntry {
  std::string_view name;
  std::string_view parameters;
  Result<Value> (*function)(Interpreter&, const Bound& arguments);
};

std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> more_text_filters();
std::span<const FilterEntry> sequence_filters();
std::span<const FilterEntry> selection_filters();
std::span<const FilterEntry> value_filters();
std::span<const TestEntry> all_tests();
std::span<const MethodEntry> text_methods();
std::span<const MethodEntry> text_predicates();
std::span<const MethodEntry> list_methods();
std::span<const MethodEntry> dict_methods();
std::span<const MethodEntry> helper_methods();  // of loop, cycler
std::span<const FunctionEntry> global_functions();

// Null when there is none of that name.
const FilterEntry* find_filter(std::string_view name);
const TestEntry* find_test(std::string_view name);
const FunctionEntry* find_function(std::string_view name);
const MethodEntry* find_method(const Value& self, std::string_view name);

struct FunctionObject : Object {
  explicit FunctionObject(const FunctionEntry& function)
      : Object(ObjectKind::kFunction), entry(function) {}
  const FunctionEntry& entry;
};

struct MethodObject : Object {
  MethodObject(Value receiver, const MethodEntry& method)
      : Object(ObjectKind::kMethod), self(std::move(receiver)), entry(method) {}
  Value self;
  const MethodEntry& entry;
};

// Typed access to arguments, with errors that name the function.
Result<int64_t> integer_argument(std::string_view function, const Value& value);
// The argument as a string; `function` needs one.
Result<Value> text_argument(std::string_view function, const Value& value);
// The input of a text filter: soft_str() in Jinja2, so everything has a text.
Result<Value> text_input(Interpreter& interpreter, const Value& value);

// Walks "a.b.0" down from a value, as the `attribute` parameter of filters does.
class AttributePath {
 public:
  // From the parameter: a string, an integer, or undefined for "the value itself".
  static Result<AttributePath> parse(const Value& attribute);
  Result<Value> get(Interpreter& interpreter, const Value& value,
                    const Value* fallback = nullptr) const;
  bool empty() const { return parts_.empty(); }

 private:
  std::vector<Value> parts_;
};

}  // namespace llmrun::chat::jinja
