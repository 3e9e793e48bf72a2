// == < in: equality, order and membership, as Python has them.
#include <algorithm>
#include <cmath>
#include <compare>
#include <cstring>

#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {
namespace {

constexpr int kMaxDepth = 100;

std::string_view symbol(Operator op) {
  switch (op) {
    case Operator::kLess:
      return "<";
    case Operator::kLessEqual:
      return "<=";
    case Operator::kGreater:
      return ">";
    default:
      return ">=";
  }
}

// Exact order of an integer and a double: a conversion to double would round.
std::partial_ordering order(int64_t integer, double real) {
  if (std::isnan(real)) return std::partial_ordering::unordered;
  constexpr double kTwo63 = 9223372036854775808.0;
  if (real >= kTwo63) return std::partial_ordering::less;
  if (real < -kTwo63) return std::partial_ordering::greater;
  const double whole = std::trunc(real);
  const auto as_integer = static_cast<int64_t>(whole);
  if (integer != as_integer) {
    return integer < as_integer ? std::partial_ordering::less : std::partial_ordering::greater;
  }
  return 0.0 <=> (real - whole);
}

std::partial_ordering number_order(const Value& left, const Value& right) {
  const auto a = left.integer();
  const auto b = right.integer();
  if (a && b) return *a <=> *b;
  if (a) return order(*a, right.as_float());
  if (b) return 0 <=> order(*b, left.as_float());  // NOLINT(modernize-use-nullptr): the reverse
  return left.as_float() <=> right.as_float();
}

bool is_order(Operator op, std::partial_ordering order) {
  switch (op) {
    case Operator::kLess:
      return std::is_lt(order);
    case Operator::kLessEqual:
      return std::is_lteq(order);
    case Operator::kGreater:
      return std::is_gt(order);
    default:
      return std::is_gteq(order);
  }
}

Result<bool> lists_equal(Heap& heap, const ListObject& left, const ListObject& right, int depth) {
  if (left.items.size() != right.items.size()) return false;
  for (size_t i = 0; i < left.items.size(); ++i) {
    LLMRUN_ASSIGN(const bool same, equal(heap, left.items[i], right.items[i], depth + 1));
    if (!same) return false;
  }
  return true;
}

Result<bool> dicts_equal(Heap& heap, const DictObject& left, const DictObject& right, int depth) {
  if (left.size() != right.size()) return false;
  for (const DictObject::Entry& entry : left.entries()) {
    const auto hashed = hash_key(entry.key);
    const Value* other = hashed ? right.find_hashed(*hashed) : nullptr;
    if (other == nullptr) return false;
    LLMRUN_ASSIGN(const bool same, equal(heap, entry.value, *other, depth + 1));
    if (!same) return false;
  }
  return true;
}

Result<bool> objects_equal(Heap& heap, const Value& left, const Value& right, int depth) {
  if (left.as_object() == right.as_object()) return true;
  if (left.as_object()->kind != right.as_object()->kind) return false;
  if (depth > kMaxDepth) return template_error("the values compared are nested too deeply");
  switch (left.as_object()->kind) {
    case ObjectKind::kList:
    case ObjectKind::kTuple:
    case ObjectKind::kDictKeys:
    case ObjectKind::kDictItems:
      return lists_equal(heap, left.as<ListObject>(), right.as<ListObject>(), depth);
    case ObjectKind::kDict:
      return dicts_equal(heap, left.as<DictObject>(), right.as<DictObject>(), depth);
    case ObjectKind::kRange: {
      const auto& a = left.as<RangeObject>();
      const auto& b = right.as<RangeObject>();
      if (a.size() != b.size()) return false;
      return a.size() == 0 || (a.start == b.start && (a.size() == 1 || a.step == b.step));
    }
    default:
      return false;
  }
}

// The order of two values of kinds that have one; an error otherwise.
Result<std::partial_ordering> value_order(Heap& heap, Operator op, const Value& left,
                                          const Value& right, int depth) {
  LLMRUN_TRY(heap.spend(1));
  if (left.is_number() && right.is_number()) return number_order(left, right);
  if (left.is_string() && right.is_string()) {
    LLMRUN_TRY(heap.spend_bytes(std::min(left.text().size(), right.text().size())));
    // The order of UTF-8 bytes is the order of code points.
    return left.view().compare(right.view()) <=> 0;
  }
  const bool lists = (left.is_list() && right.is_list()) || (left.is_tuple() && right.is_tuple());
  if (!lists) {
    for (const Value* side : {&left, &right}) {
      if (side->is_undefined()) return template_error("{}", side->undefined_reason());
    }
    return template_error("'{}' is not supported between values of type '{}' and '{}'", symbol(op),
                          type_name(left), type_name(right));
  }
  if (depth > kMaxDepth) return template_error("the values compared are nested too deeply");
  const auto& a = left.as<ListObject>().items;
  const auto& b = right.as<ListObject>().items;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    LLMRUN_ASSIGN(const bool same, equal(heap, a[i], b[i], depth + 1));
    if (!same) return value_order(heap, op, a[i], b[i], depth + 1);
  }
  return std::partial_ordering(a.size() <=> b.size());
}

}  // namespace

Result<bool> equal(Heap& heap, const Value& left, const Value& right, int depth) {
  LLMRUN_TRY(heap.spend(1));
  if (left.is_number() && right.is_number()) return std::is_eq(number_order(left, right));
  if (left.kind() != right.kind()) return false;
  if (left.is_string()) {
    if (left.text().size() != right.text().size()) return false;
    LLMRUN_TRY(heap.spend_bytes(left.text().size()));
    return left.view() == right.view();
  }
  if (left.is_object()) return objects_equal(heap, left, right, depth);
  return true;  // none and none, undefined and undefined
}

Result<bool> less(Heap& heap, const Value& left, const Value& right, int depth) {
  LLMRUN_ASSIGN(const auto order, value_order(heap, Operator::kLess, left, right, depth));
  return std::is_lt(order);
}

Result<bool> compare(Heap& heap, Operator op, const Value& left, const Value& right) {
  switch (op) {
    case Operator::kEqual:
      return equal(heap, left, right);
    case Operator::kNotEqual: {
      LLMRUN_ASSIGN(const bool same, equal(heap, left, right));
      return !same;
    }
    case Operator::kIn:
      return contains(heap, right, left);
    case Operator::kNotIn: {
      LLMRUN_ASSIGN(const bool found, contains(heap, right, left));
      return !found;
    }
    default: {
      LLMRUN_ASSIGN(const auto order, value_order(heap, op, left, right, 0));
      return is_order(op, order);
    }
  }
}

Result<bool> contains(Heap& heap, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (item.is_undefined()) return template_error("{}", item.undefined_reason());
    if (!item.is_string()) {
      return template_error("'in <string>' requires a string on its left, not {}", type_name(item));
    }
    LLMRUN_TRY(heap.spend_bytes(container.text().size() + item.text().size()));
    return find_bytes(container.view(), item.view()) != std::string_view::npos;
  }
  if (container.is_dict()) {
    const auto hashed = hash_key(item);
    if (!hashed) return template_error("unhashable type: '{}'", type_name(item));
    return container.as<DictObject>().find_hashed(*hashed) != nullptr;
  }
  if (container.is(ObjectKind::kRange)) {
    const auto& range = container.as<RangeObject>();
    if (!item.is_number()) return false;
    if (item.is_float() &&
        !(std::abs(item.as_float()) < 9.2e18 && item.as_float() == std::trunc(item.as_float()))) {
      return false;
    }
    const int64_t wanted =
        item.is_float() ? static_cast<int64_t>(item.as_float()) : *item.integer();
    const bool inside = range.step > 0 ? wanted >= range.start && wanted < range.stop
                                       : wanted <= range.start && wanted > range.stop;
    if (!inside) return false;
    const auto from = static_cast<uint64_t>(range.start);
    const auto to = static_cast<uint64_t>(wanted);
    return range.step > 0 ? (to - from) % static_cast<uint64_t>(range.step) == 0
                          : (from - to) % (0 - static_cast<uint64_t>(range.step)) == 0;
  }
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, container));
  for (const Value& candidate : items) {
    LLMRUN_ASSIGN(const bool same, equal(heap, candidate, item));
    if (same) return true;
  }
  return false;
}

size_t find_bytes(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  // glibc's memmem is the two-way algorithm: linear for every input.
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace llmrun::chat::jinja
