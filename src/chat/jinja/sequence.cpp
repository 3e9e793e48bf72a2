// Walking, measuring, indexing and slicing of values.
#include <algorithm>

#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

Result<std::vector<Value>> characters(Heap& heap, const Value& value) {
  LLMRUN_TRY(heap.spend(value.as_string().length()));
  LLMRUN_TRY(heap.require(value.as_string().length() * (sizeof(Value) + sizeof(StringData))));
  std::vector<Value> items;
  items.reserve(value.as_string().length());
  const std::string_view text = value.view();
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = decode_at(text, at).bytes;
    LLMRUN_ASSIGN(Value item, heap.part(value, text.substr(at, bytes)));
    items.push_back(std::move(item));
    at += bytes;
  }
  return items;
}

Result<std::vector<Value>> range_items(Heap& heap, const RangeObject& range) {
  const uint64_t size = range.size();
  if (size > heap.free_bytes() / sizeof(Value)) LLMRUN_TRY(heap.require(UINT64_MAX));
  LLMRUN_TRY(heap.spend(size));
  std::vector<Value> items;
  items.reserve(size);
  for (uint64_t i = 0; i < size; ++i) items.emplace_back(range.at(i));
  return items;
}

// The bounds of value[start:stop:step] over `size` elements, as Python's slice.indices gives them.
struct SliceBounds {
  int64_t start = 0;
  int64_t step = 1;
  uint64_t count = 0;
};

Result<int64_t> slice_index(const Value& bound, int64_t fallback) {
  if (bound.is_none()) return fallback;
  if (const auto integer = bound.integer()) return *integer;
  if (bound.is_undefined()) return template_error("{}", bound.undefined_reason());
  return template_error("slice indices must be integers, not {}", type_name(bound));
}

Result<SliceBounds> slice_bounds(int64_t size, const Value& start, const Value& stop,
                                 const Value& step) {
  SliceBounds bounds;
  LLMRUN_ASSIGN(bounds.step, slice_index(step, 1));
  if (bounds.step == 0) return template_error("slice step cannot be zero");
  const bool forward = bounds.step > 0;
  const int64_t lowest = forward ? 0 : -1;
  const int64_t highest = forward ? size : size - 1;
  const auto clamp = [&](int64_t index) {
    if (index < 0) index += size;  // no overflow: index is negative, size is not
    return std::clamp(index, lowest, highest);
  };
  int64_t end = forward ? highest : lowest;
  bounds.start = forward ? lowest : highest;
  if (!start.is_none()) {
    LLMRUN_ASSIGN(const int64_t index, slice_index(start, 0));
    bounds.start = clamp(index);
  }
  if (!stop.is_none()) {
    LLMRUN_ASSIGN(const int64_t index, slice_index(stop, 0));
    end = clamp(index);
  }
  bounds.count = RangeObject(bounds.start, end, bounds.step).size();
  return bounds;
}

Result<Value> slice_text(Heap& heap, const Value& value, const SliceBounds& bounds) {
  const std::string_view text = value.view();
  LLMRUN_TRY(heap.spend_bytes(text.size()));
  if (bounds.count == 0) return heap.text(std::string_view(), value.text().trusted());
  const auto start = static_cast<size_t>(bounds.start);
  const bool ascii = value.as_string().ascii();
  if (bounds.step == 1) {
    const size_t begin = ascii ? start : byte_offset(text, start);
    const size_t bytes = ascii ? bounds.count : byte_offset(text.substr(begin), bounds.count);
    return heap.part(value, text.substr(begin, bytes));
  }
  LLMRUN_TRY(heap.spend(bounds.count));
  LLMRUN_TRY(heap.require((value.as_string().length() + 1) * sizeof(size_t)));
  std::vector<size_t> offsets;  // where each character starts
  if (!ascii) {
    for (size_t at = 0; at < text.size(); at += decode_at(text, at).bytes) offsets.push_back(at);
    offsets.push_back(text.size());
  }
  TextBuilder out = heap.builder();
  for (uint64_t i = 0; i < bounds.count; ++i) {
    const auto index = static_cast<size_t>(RangeObject(bounds.start, 0, bounds.step).at(i));
    const size_t begin = ascii ? index : offsets[index];
    out.append(value.text(), begin, ascii ? index + 1 : offsets[index + 1]);
  }
  return heap.text(out, value.as_string().markup());
}

}  // namespace

Result<std::vector<Value>> elements(Heap& heap, const Value& value) {
  if (value.is_undefined()) return std::vector<Value>();
  if (value.is_string()) return characters(heap, value);
  if (value.is_sequence()) {
    auto& list = value.as<ListObject>();
    LLMRUN_TRY(heap.spend(1 + list.items.size()));
    LLMRUN_TRY(heap.require(list.items.size() * sizeof(Value)));
    const auto first = static_cast<std::ptrdiff_t>(std::min(list.consumed, list.items.size()));
    if (list.kind == ObjectKind::kIterator) list.consumed = list.items.size();
    return std::vector<Value>(list.items.begin() + first, list.items.end());
  }
  if (value.is_dict()) {
    const auto& dict = value.as<DictObject>();
    LLMRUN_TRY(heap.spend(1 + dict.size()));
    LLMRUN_TRY(heap.require(dict.size() * sizeof(Value)));
    std::vector<Value> keys;
    keys.reserve(dict.size());
    for (const DictObject::Entry& entry : dict.entries()) keys.push_back(entry.key);
    return keys;
  }
  if (value.is(ObjectKind::kRange)) return range_items(heap, value.as<RangeObject>());
  return template_error("a value of type '{}' is not iterable", type_name(value));
}

Result<int64_t> length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_string()) return static_cast<int64_t>(value.as_string().length());
  if (value.is_sequence() && !value.is(ObjectKind::kIterator)) {
    return static_cast<int64_t>(value.as<ListObject>().items.size());
  }
  if (value.is_dict()) return static_cast<int64_t>(value.as<DictObject>().size());
  if (value.is(ObjectKind::kRange)) {
    const uint64_t size = value.as<RangeObject>().size();
    if (size > static_cast<uint64_t>(INT64_MAX)) return template_error("the range is too long");
    return static_cast<int64_t>(size);
  }
  return template_error("a value of type '{}' has no length{}", type_name(value),
                        value.is(ObjectKind::kIterator) ? "; put |list before |length" : "");
}

Result<Value> subscript(Heap& heap, const Value& value, const Value& index) {
  if (value.is_undefined()) return template_error("{}", value.undefined_reason());
  const auto missing = [&]() -> Result<Value> {
    if (index.is_string()) {
      return Value::undefined(
          fmt::format("'{} object' has no attribute '{}'", type_name(value), index.view()));
    }
    LLMRUN_ASSIGN(const Value shown, repr(heap, index));
    return Value::undefined(
        fmt::format("{} object has no element {}", type_name(value), shown.view()));
  };
  if (value.is_dict() || value.is(ObjectKind::kNamespace)) {
    const auto hashed = hash_key(index);
    const Value* found = hashed ? value.as<DictObject>().find_hashed(*hashed) : nullptr;
    if (found != nullptr) return *found;
    return missing();
  }
  const bool indexable =
      value.is_string() || value.is_list() || value.is_tuple() || value.is(ObjectKind::kRange);
  const auto wanted = index.integer();
  if (!indexable || !wanted) return missing();
  LLMRUN_ASSIGN(const int64_t size, length(value));
  const int64_t at = *wanted < 0 ? *wanted + size : *wanted;
  if (at < 0 || at >= size) return missing();
  if (value.is_string()) {
    const Value first(at);
    LLMRUN_ASSIGN(const SliceBounds bounds,
                  slice_bounds(size, first, Value(at + 1), Value(None{})));
    return slice_text(heap, value, bounds);
  }
  if (value.is(ObjectKind::kRange)) {
    return Value(value.as<RangeObject>().at(static_cast<uint64_t>(at)));
  }
  return value.as<ListObject>().items[static_cast<size_t>(at)];
}

Result<Value> slice(Heap& heap, const Value& value, const Value& start, const Value& stop,
                    const Value& step) {
  if (value.is_undefined()) return template_error("{}", value.undefined_reason());
  const bool sliceable =
      value.is_string() || value.is_list() || value.is_tuple() || value.is(ObjectKind::kRange);
  if (!sliceable) {
    return Value::undefined(fmt::format("{} object cannot be sliced", type_name(value)));
  }
  LLMRUN_ASSIGN(const int64_t size, length(value));
  LLMRUN_ASSIGN(const SliceBounds bounds, slice_bounds(size, start, stop, step));
  if (value.is_string()) return slice_text(heap, value, bounds);
  if (value.is(ObjectKind::kRange)) LLMRUN_TRY(heap.require(bounds.count * sizeof(Value)));
  LLMRUN_TRY(heap.spend(1 + bounds.count));
  LLMRUN_TRY(heap.require(bounds.count * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(bounds.count);
  const RangeObject picks(bounds.start, 0, bounds.step);
  for (uint64_t i = 0; i < bounds.count; ++i) {
    const auto at = static_cast<uint64_t>(picks.at(i));
    if (value.is(ObjectKind::kRange)) {
      items.emplace_back(value.as<RangeObject>().at(at));
    } else {
      items.push_back(value.as<ListObject>().items[at]);
    }
  }
  return heap.list(std::move(items), value.is_tuple() ? ObjectKind::kTuple : ObjectKind::kList);
}

Result<Value> escape(Heap& heap, const Value& value) {
  LLMRUN_ASSIGN(const Value plain, to_string(heap, value));
  if (plain.as_string().markup()) return plain;
  TextBuilder out = heap.builder();
  const std::string_view text = plain.view();
  size_t kept = 0;
  const auto replace = [&](size_t at, std::string_view entity) {
    out.append(plain.text(), kept, at);
    out.append(entity, plain.text().trusted_at(at));
    kept = at + 1;
  };
  for (size_t at = 0; at < text.size(); ++at) {
    switch (text[at]) {
      case '&':
        replace(at, "&amp;");
        break;
      case '<':
        replace(at, "&lt;");
        break;
      case '>':
        replace(at, "&gt;");
        break;
      case '\'':
        replace(at, "&#39;");
        break;
      case '"':
        replace(at, "&#34;");
        break;
      default:
        break;
    }
  }
  out.append(plain.text(), kept, text.size());
  return heap.text(out, true);
}

}  // namespace llmrun::chat::jinja
