// Filters whose input is a sequence or a dictionary.
#include <algorithm>

#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/sorting.h"
#include "chat/jinja/text_operations.h"

namespace llmrun::chat::jinja {
namespace {

// The key that sort, unique and groupby compare: strings without case unless asked otherwise.
Result<Value> compare_key(Interpreter& interpreter, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  return change_case(interpreter.heap(), value, CaseChange::kLower);
}

Result<Value> length_filter(Interpreter&, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(const int64_t size, length(input));
  return Value(size);
}

Result<Value> list_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(std::vector<Value> items, elements(interpreter.heap(), input));
  return interpreter.heap().list(std::move(items));
}

Result<Value> items_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  Heap& heap = interpreter.heap();
  std::vector<Value> pairs;
  if (!input.is_undefined()) {
    if (!input.is_dict()) return template_error("items() needs a dictionary");
    for (const auto& [key, value] : input.as<DictObject>().entries()) {
      LLMRUN_ASSIGN(Value pair, heap.pair(key, value));
      pairs.push_back(std::move(pair));
    }
  }
  return heap.list(std::move(pairs), ObjectKind::kIterator);
}

Result<Value> join_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(std::vector<Value> parts, elements(heap, input));
  LLMRUN_ASSIGN(const AttributePath path, AttributePath::parse(arguments[1]));
  if (!path.empty()) {
    for (Value& part : parts) {
      LLMRUN_ASSIGN(part, path.get(interpreter, part));
    }
  }
  LLMRUN_ASSIGN(const Value separator, text_input(interpreter, arguments[0]));
  LLMRUN_ASSIGN(const Value plain, heap.text(separator.text(), false));
  return join(heap, plain, parts);
}

Result<Value> first_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  LLMRUN_ASSIGN(Cursor cursor, Cursor::over(input));
  LLMRUN_ASSIGN(std::optional<Value> item, cursor.next(interpreter.heap()));
  if (item) return std::move(*item);
  return Value::undefined("no first item, the sequence was empty");
}

Result<Value> last_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  if (input.is(ObjectKind::kIterator)) {
    return template_error("a generator has no last item; put |list before |last");
  }
  if (input.is(ObjectKind::kRange)) {
    const auto& range = input.as<RangeObject>();
    if (range.size() > 0) return Value(range.at(range.size() - 1));
  } else if (input.is_string() && !input.text().empty()) {
    return subscript(interpreter.heap(), input, Value(int64_t{-1}));
  } else {
    LLMRUN_ASSIGN(const std::vector<Value> items, elements(interpreter.heap(), input));
    if (!items.empty()) return items.back();
  }
  return Value::undefined("no last item, the sequence was empty");
}

Result<Value> reverse_filter(Interpreter& interpreter, const Value& input, const Bound&) {
  if (input.is_string()) {
    return slice(interpreter.heap(), input, None{}, None{}, Value(int64_t{-1}));
  }
  LLMRUN_ASSIGN(std::vector<Value> items, elements(interpreter.heap(), input));
  std::reverse(items.begin(), items.end());
  const bool listed = input.is(ObjectKind::kIterator);
  return interpreter.heap().list(std::move(items),
                                 listed ? ObjectKind::kList : ObjectKind::kIterator);
}

Result<Value> sort_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_TRY(heap.require(items.size() * 2 * sizeof(SortItem)));
  // "age,name": several keys.
  std::vector<AttributePath> paths;
  if (arguments[2].is_string()) {
    LLMRUN_ASSIGN(const Value comma, heap.text(",", true));
    LLMRUN_ASSIGN(const Value names, split(heap, arguments[2], comma, 100, false));
    for (const Value& name : names.as<ListObject>().items) {
      LLMRUN_ASSIGN(AttributePath path, AttributePath::parse(name));
      paths.push_back(std::move(path));
    }
  } else {
    LLMRUN_ASSIGN(AttributePath path, AttributePath::parse(arguments[2]));
    paths.push_back(std::move(path));
  }
  std::vector<SortItem> sorted;
  for (const Value& item : items) {
    SortItem entry{{}, item};
    for (const AttributePath& path : paths) {
      LLMRUN_ASSIGN(const Value found, path.get(interpreter, item));
      LLMRUN_ASSIGN(Value key, compare_key(interpreter, found, arguments.flag(1, false)));
      entry.keys.push_back(std::move(key));
    }
    sorted.push_back(std::move(entry));
  }
  LLMRUN_TRY(sort_items(heap, sorted, arguments.flag(0, false)));
  std::vector<Value> result;
  result.reserve(sorted.size());
  for (SortItem& entry : sorted) result.push_back(std::move(entry.value));
  return heap.list(std::move(result));
}

Result<Value> dictsort_filter(Interpreter& interpreter, const Value& input,
                              const Bound& arguments) {
  Heap& heap = interpreter.heap();
  if (!input.is_dict()) return template_error("dictsort() needs a dictionary");
  bool by_value = false;
  if (arguments.has(1)) {
    LLMRUN_ASSIGN(const Value by, text_argument("dictsort", arguments[1]));
    by_value = by.view() == "value";
    if (!by_value && by.view() != "key") {
      return template_error("dictsort() sorts by 'key' or 'value'");
    }
  }
  std::vector<SortItem> sorted;
  for (const auto& [key, value] : input.as<DictObject>().entries()) {
    LLMRUN_ASSIGN(Value pair, heap.pair(key, value));
    LLMRUN_ASSIGN(Value order,
                  compare_key(interpreter, by_value ? value : key, arguments.flag(0, false)));
    sorted.push_back({{std::move(order)}, std::move(pair)});
  }
  LLMRUN_TRY(sort_items(heap, sorted, arguments.flag(2, false)));
  std::vector<Value> result;
  result.reserve(sorted.size());
  for (SortItem& entry : sorted) result.push_back(std::move(entry.value));
  return heap.list(std::move(result));
}

Result<Value> unique_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_ASSIGN(const AttributePath path, AttributePath::parse(arguments[1]));
  DictObject seen;
  std::vector<Value> result;
  for (const Value& item : items) {
    LLMRUN_ASSIGN(const Value found, path.get(interpreter, item));
    LLMRUN_ASSIGN(const Value key, compare_key(interpreter, found, arguments.flag(0, false)));
    const auto hashed = hash_key(key);
    if (!hashed) return template_error("unique() cannot compare values of type {}", type_name(key));
    if (seen.find_hashed(*hashed) != nullptr) continue;
    LLMRUN_TRY(heap.set(seen, key, Value(true)));
    result.push_back(item);
  }
  return heap.list(std::move(result), ObjectKind::kIterator);
}

template <bool largest>
Result<Value> extreme_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_ASSIGN(const AttributePath path, AttributePath::parse(arguments[1]));
  if (items.empty()) return Value::undefined("no smallest or largest item in an empty sequence");
  Value best;
  Value best_key;
  for (size_t i = 0; i < items.size(); ++i) {
    LLMRUN_ASSIGN(const Value found, path.get(interpreter, items[i]));
    LLMRUN_ASSIGN(Value key, compare_key(interpreter, found, arguments.flag(0, false)));
    bool better = i == 0;
    if (i > 0) {
      LLMRUN_ASSIGN(better, largest ? less(heap, best_key, key) : less(heap, key, best_key));
    }
    if (better) {
      best = items[i];
      best_key = std::move(key);
    }
  }
  return best;
}

Result<Value> sum_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_ASSIGN(const AttributePath path, AttributePath::parse(arguments[0]));
  Value total = arguments.has(1) ? arguments[1] : Value(int64_t{0});
  for (const Value& item : items) {
    LLMRUN_ASSIGN(const Value term, path.get(interpreter, item));
    LLMRUN_ASSIGN(total, arithmetic(heap, Operator::kAdd, total, term));
  }
  return total;
}

Result<Value> batch_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_ASSIGN(const int64_t count, integer_argument("batch", arguments[0]));
  std::vector<Value> rows;
  std::vector<Value> row;
  const auto finish = [&]() -> Result<void> {
    LLMRUN_ASSIGN(Value list, heap.list(std::move(row)));
    rows.push_back(std::move(list));
    row = {};
    return {};
  };
  for (const Value& item : items) {
    if (!row.empty() && static_cast<int64_t>(row.size()) == count) LLMRUN_TRY(finish());
    row.push_back(item);
  }
  const bool fill = arguments.has(1) && !arguments[1].is_none();
  if (fill && !row.empty() && count > static_cast<int64_t>(row.size())) {
    const auto missing = static_cast<uint64_t>(count) - row.size();
    LLMRUN_TRY(heap.require(missing > (1U << 30U) ? UINT64_MAX : missing * sizeof(Value)));
    LLMRUN_TRY(heap.spend(missing));
    row.insert(row.end(), missing, arguments[1]);
  }
  if (!row.empty()) LLMRUN_TRY(finish());
  return heap.list(std::move(rows), ObjectKind::kIterator);
}

Result<Value> slice_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_ASSIGN(const int64_t count, integer_argument("slice", arguments[0]));
  if (count == 0) return template_error("slice() into zero slices");
  std::vector<Value> rows;
  const auto size = static_cast<int64_t>(items.size());
  int64_t begin = 0;
  for (int64_t i = 0; i < count; ++i) {
    const bool extra = i < size % count;
    const int64_t end = begin + size / count + (extra ? 1 : 0);
    std::vector<Value> row(items.begin() + begin, items.begin() + end);
    if (arguments.has(1) && !arguments[1].is_none() && !extra) row.push_back(arguments[1]);
    LLMRUN_TRY(heap.spend(1));
    LLMRUN_ASSIGN(Value list, heap.list(std::move(row)));
    rows.push_back(std::move(list));
    begin = end;
  }
  return heap.list(std::move(rows), ObjectKind::kIterator);
}

Result<Value> group_of(Heap& heap, const Value& grouper, std::vector<Value> members) {
  LLMRUN_ASSIGN(Value list, heap.list(std::move(members)));
  LLMRUN_ASSIGN(Value group, heap.pair(grouper, std::move(list)));
  group.as<ListObject>().is_group = true;
  return group;
}

Result<Value> groupby_filter(Interpreter& interpreter, const Value& input, const Bound& arguments) {
  Heap& heap = interpreter.heap();
  const bool case_sensitive = arguments.flag(2, false);
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(heap, input));
  LLMRUN_ASSIGN(const AttributePath path, AttributePath::parse(arguments[0]));
  const Value* fallback = arguments.has(1) ? &arguments[1] : nullptr;
  std::vector<SortItem> sorted;
  for (const Value& item : items) {
    LLMRUN_ASSIGN(const Value found, path.get(interpreter, item, fallback));
    LLMRUN_ASSIGN(Value key, compare_key(interpreter, found, case_sensitive));
    sorted.push_back({{std::move(key)}, item});
  }
  LLMRUN_TRY(sort_items(heap, sorted, false));
  std::vector<Value> groups;
  for (size_t i = 0; i < sorted.size();) {
    std::vector<Value> members;
    const size_t first = i;
    for (; i < sorted.size(); ++i) {
      LLMRUN_ASSIGN(const bool same, equal(heap, sorted[first].keys[0], sorted[i].keys[0]));
      if (!same) break;
      members.push_back(sorted[i].value);
    }
    // The group bears the key of its first member as it is written there.
    LLMRUN_ASSIGN(const Value grouper, path.get(interpreter, members.front(), fallback));
    LLMRUN_ASSIGN(Value group, group_of(heap, grouper, std::move(members)));
    groups.push_back(std::move(group));
  }
  return heap.list(std::move(groups));
}

constexpr FilterEntry kFilters[] = {
    {"length", "", length_filter},
    {"count", "", length_filter},
    {"list", "", list_filter},
    {"items", "", items_filter},
    {"join", "d? attribute?", join_filter},
    {"first", "", first_filter},
    {"last", "", last_filter},
    {"reverse", "", reverse_filter},
    {"sort", "reverse? case_sensitive? attribute?", sort_filter},
    {"dictsort", "case_sensitive? by? reverse?", dictsort_filter},
    {"unique", "case_sensitive? attribute?", unique_filter},
    {"min", "case_sensitive? attribute?", extreme_filter<false>},
    {"max", "case_sensitive? attribute?", extreme_filter<true>},
    {"sum", "attribute? start?", sum_filter},
    {"batch", "linecount fill_with?", batch_filter},
    {"slice", "slices fill_with?", slice_filter},
    {"groupby", "attribute default? case_sensitive?", groupby_filter},
};

}  // namespace

std::span<const FilterEntry> sequence_filters() { return kFilters; }

}  // namespace llmrun::chat::jinja
