// The operators of the language on values, with Python's rules and messages.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/jinja/heap.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
  kNegate,
  kPositive,
  kNot,
};

Result<Value> arithmetic(Heap& heap, Operator op, const Value& left, const Value& right);
Result<Value> negate(const Value& value, bool minus);
Result<bool> compare(Heap& heap, Operator op, const Value& left, const Value& right);

Result<bool> equal(Heap& heap, const Value& left, const Value& right, int depth = 0);
// left < right.
Result<bool> less(Heap& heap, const Value& left, const Value& right, int depth = 0);
Result<bool> contains(Heap& heap, const Value& container, const Value& item);

// iter(value): everything it yields. Walking a generator uses it up.
Result<std::vector<Value>> elements(Heap& heap, const Value& value);
// len(value).
Result<int64_t> length(const Value& value);
// The character at a byte range of a string, as a value.
Result<Value> subscript(Heap& heap, const Value& value, const Value& index);  // value[index]
// value[start:stop:step]; each bound is none or an integer.
Result<Value> slice(Heap& heap, const Value& value, const Value& start, const Value& stop,
                    const Value& step);

// str(value): the value itself when it is a string.
Result<Value> to_string(Heap& heap, const Value& value);
Result<Value> repr(Heap& heap, const Value& value);
// Appends str(value) to `out`.
Result<void> write_string(Heap& heap, TextBuilder& out, const Value& value);
Result<void> write_repr(Heap& heap, TextBuilder& out, const Value& value, int depth = 0);
std::string float_repr(double number);

// markupsafe.escape of a text: & < > ' " become entities.
Result<Value> escape(Heap& heap, const Value& value);

// The first position of `needle` at or after `from`, in linear time; npos when there is none.
size_t find_bytes(std::string_view text, std::string_view needle, size_t from = 0);

}  // namespace llmrun::chat::jinja
