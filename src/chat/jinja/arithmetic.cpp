// + - * / // % ** and the signs. Integers have 64 bits; a result outside is an error.
#include <cmath>

#include "chat/jinja/format.h"
#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {
namespace {

std::string_view symbol(Operator op) {
  switch (op) {
    case Operator::kAdd:
      return "+";
    case Operator::kSubtract:
      return "-";
    case Operator::kMultiply:
      return "*";
    case Operator::kDivide:
      return "/";
    case Operator::kFloorDivide:
      return "//";
    case Operator::kModulo:
      return "%";
    default:
      return "**";
  }
}

tl::unexpected<Error> overflow(Operator op) {
  return template_error("the result of {} does not fit in a 64-bit integer", symbol(op));
}

tl::unexpected<Error> zero_division() { return template_error("division by zero"); }

Result<Value> integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return zero_division();
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
      return overflow(Operator::kPower);
    }
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) {
      return overflow(Operator::kPower);
    }
  }
  return Value(result);
}

Result<Value> integer_arithmetic(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) return overflow(op);
      return Value(result);
    case Operator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) return overflow(op);
      return Value(result);
    case Operator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) return overflow(op);
      return Value(result);
    case Operator::kDivide:
      if (b == 0) return zero_division();
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      if (b == 0) return zero_division();
      if (b == -1) return integer_arithmetic(Operator::kSubtract, 0, a);
      return Value(a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0));
    case Operator::kModulo:
      if (b == 0) return zero_division();
      if (b == -1) return Value(int64_t{0});
      result = a % b;
      if (result != 0 && (result < 0) != (b < 0)) result += b;
      return Value(result);
    default:
      return integer_power(a, b);
  }
}

Result<Value> float_arithmetic(Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value(a + b);
    case Operator::kSubtract:
      return Value(a - b);
    case Operator::kMultiply:
      return Value(a * b);
    case Operator::kDivide:
      if (b == 0) return zero_division();
      return Value(a / b);
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0) return zero_division();
      double remainder = std::fmod(a, b);
      if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
      if (op == Operator::kModulo) return Value(remainder == 0 ? std::copysign(0.0, b) : remainder);
      return Value(std::round((a - remainder) / b));
    }
    default:
      if (a == 0 && b < 0) return zero_division();
      if (a < 0 && b != std::trunc(b)) {
        return template_error("a negative number to a fractional power is not a real number");
      }
      return Value(std::pow(a, b));
  }
}

Result<Value> concatenate_text(Heap& heap, const Value& left, const Value& right) {
  const bool markup = left.as_string().markup() || right.as_string().markup();
  TextBuilder out = heap.builder();
  for (const Value* side : {&left, &right}) {
    if (markup && !side->as_string().markup()) {
      LLMRUN_ASSIGN(const Value escaped, escape(heap, *side));
      out.append(escaped.text());
    } else {
      out.append(side->text());
    }
  }
  return heap.text(out, markup);
}

Result<Value> repeat_text(Heap& heap, const Value& text, int64_t times) {
  TextBuilder out = heap.builder();
  const size_t size = text.text().size();
  if (size > 0 && times > 0) {
    if (static_cast<uint64_t>(times) > heap.free_bytes() / size) {
      LLMRUN_TRY(heap.require(UINT64_MAX));
    }
    LLMRUN_TRY(heap.spend(static_cast<uint64_t>(times) / 8));
    for (int64_t i = 0; i < times && !out.overflow(); ++i) out.append(text.text());
  }
  return heap.text(out, text.as_string().markup());
}

Result<Value> repeat_list(Heap& heap, const ListObject& list, int64_t times) {
  std::vector<Value> items;
  const size_t size = list.items.size();
  if (size > 0 && times > 0) {
    const uint64_t room = heap.free_bytes() / sizeof(Value) / size;
    if (static_cast<uint64_t>(times) > room) {
      LLMRUN_TRY(heap.require(UINT64_MAX));
    }
    LLMRUN_TRY(heap.spend(static_cast<uint64_t>(times) * size));
    items.reserve(size * static_cast<size_t>(times));
    for (int64_t i = 0; i < times; ++i) {
      items.insert(items.end(), list.items.begin(), list.items.end());
    }
  }
  return heap.list(std::move(items), list.kind);
}

Result<Value> concatenate_lists(Heap& heap, const ListObject& left, const ListObject& right) {
  LLMRUN_TRY(heap.require((left.items.size() + right.items.size()) * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(left.items.size() + right.items.size());
  items.insert(items.end(), left.items.begin(), left.items.end());
  items.insert(items.end(), right.items.begin(), right.items.end());
  return heap.list(std::move(items), left.kind);
}

bool is_list_or_tuple(const Value& value) { return value.is_list() || value.is_tuple(); }

}  // namespace

Result<Value> arithmetic(Heap& heap, Operator op, const Value& left, const Value& right) {
  for (const Value* side : {&left, &right}) {
    if (side->is_undefined()) return template_error("{}", side->undefined_reason());
  }
  if (left.is_number() && right.is_number()) {
    const auto a = left.integer();
    const auto b = right.integer();
    if (a && b) return integer_arithmetic(op, *a, *b);
    return float_arithmetic(op, left.number(), right.number());
  }
  if (op == Operator::kModulo && left.is_string()) return format_percent(heap, left, right);
  if (op == Operator::kAdd) {
    if (left.is_string() && right.is_string()) return concatenate_text(heap, left, right);
    if (is_list_or_tuple(left) && right.is(left.as_object()->kind)) {
      return concatenate_lists(heap, left.as<ListObject>(), right.as<ListObject>());
    }
    if (left.is_string() || is_list_or_tuple(left)) {
      return template_error("can only concatenate {0} (not \"{1}\") to {0}", type_name(left),
                            type_name(right));
    }
  }
  if (op == Operator::kMultiply) {
    for (const auto& [thing, times] : {std::pair(&left, &right), std::pair(&right, &left)}) {
      if (!times->integer()) continue;
      if (thing->is_string()) return repeat_text(heap, *thing, *times->integer());
      if (is_list_or_tuple(*thing)) {
        return repeat_list(heap, thing->as<ListObject>(), *times->integer());
      }
    }
  }
  return template_error("unsupported operand types for {}: '{}' and '{}'", symbol(op),
                        type_name(left), type_name(right));
}

Result<Value> negate(const Value& value, bool minus) {
  if (value.is_undefined()) return template_error("{}", value.undefined_reason());
  if (value.is_float()) return Value(minus ? -value.as_float() : value.as_float());
  if (const auto integer = value.integer()) {
    int64_t result = *integer;
    if (minus && __builtin_sub_overflow(int64_t{0}, *integer, &result)) {
      return overflow(Operator::kSubtract);
    }
    return Value(result);
  }
  return template_error("bad operand type for unary {}: '{}'", minus ? '-' : '+', type_name(value));
}

}  // namespace llmrun::chat::jinja
