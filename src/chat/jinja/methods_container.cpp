// Methods of lists and dictionaries.
#include <algorithm>

#include "chat/jinja/builtins.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/sorting.h"

namespace llmrun::chat::jinja {
namespace {

Result<Value> list_append(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_TRY(interpreter.heap().append(self.as<ListObject>(), arguments[0]));
  return Value(None{});
}

Result<Value> list_extend(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(interpreter.heap(), arguments[0]));
  for (const Value& item : items) {
    LLMRUN_TRY(interpreter.heap().append(self.as<ListObject>(), item));
  }
  return Value(None{});
}

Result<Value> list_insert(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  auto& items = self.as<ListObject>().items;
  LLMRUN_ASSIGN(int64_t index, integer_argument("insert", arguments[0]));
  const auto size = static_cast<int64_t>(items.size());
  if (index < 0) index = std::max<int64_t>(0, index + size);
  index = std::min(index, size);
  LLMRUN_TRY(interpreter.heap().spend(1 + items.size() / 8));
  LLMRUN_TRY(interpreter.heap().book(2 * sizeof(Value)));
  items.insert(items.begin() + index, arguments[1]);
  return Value(None{});
}

Result<Value> list_pop(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  auto& items = self.as<ListObject>().items;
  int64_t index = -1;
  if (arguments.has(0)) {
    LLMRUN_ASSIGN(index, integer_argument("pop", arguments[0]));
  }
  const auto size = static_cast<int64_t>(items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) {
    return template_error("pop() from a list that has no such element");
  }
  LLMRUN_TRY(interpreter.heap().spend(1 + items.size() / 8));
  Value value = items[static_cast<size_t>(index)];
  items.erase(items.begin() + index);
  return value;
}

// The first position of an element; -1 when there is none.
Result<int64_t> position(Heap& heap, const std::vector<Value>& items, const Value& wanted) {
  for (size_t i = 0; i < items.size(); ++i) {
    LLMRUN_ASSIGN(const bool same, equal(heap, items[i], wanted));
    if (same) return static_cast<int64_t>(i);
  }
  return -1;
}

Result<Value> list_remove(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  auto& items = self.as<ListObject>().items;
  LLMRUN_ASSIGN(const int64_t at, position(interpreter.heap(), items, arguments[0]));
  if (at < 0) return template_error("remove(): the list has no such element");
  items.erase(items.begin() + at);
  return Value(None{});
}

Result<Value> list_index(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(interpreter.heap(), self));
  LLMRUN_ASSIGN(const int64_t at, position(interpreter.heap(), items, arguments[0]));
  if (at < 0) return template_error("index(): there is no such element");
  return Value(at);
}

Result<Value> list_count(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const std::vector<Value> items, elements(interpreter.heap(), self));
  int64_t count = 0;
  for (const Value& item : items) {
    LLMRUN_ASSIGN(const bool same, equal(interpreter.heap(), item, arguments[0]));
    count += same ? 1 : 0;
  }
  return Value(count);
}

Result<Value> list_reverse(Interpreter& interpreter, const Value& self, const Bound&) {
  auto& items = self.as<ListObject>().items;
  LLMRUN_TRY(interpreter.heap().spend(1 + items.size() / 8));
  std::reverse(items.begin(), items.end());
  return Value(None{});
}

Result<Value> list_sort(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  if (arguments.has(0)) return template_error("sort() takes no key here; use the |sort filter");
  auto& list = self.as<ListObject>();
  LLMRUN_TRY(interpreter.heap().require(list.items.size() * 2 * sizeof(SortItem)));
  std::vector<SortItem> items;
  for (const Value& item : list.items) items.push_back({{item}, item});
  LLMRUN_TRY(sort_items(interpreter.heap(), items, arguments.flag(1, false)));
  list.items.clear();
  for (SortItem& item : items) list.items.push_back(std::move(item.value));
  return Value(None{});
}

Result<Value> list_clear(Interpreter&, const Value& self, const Bound&) {
  self.as<ListObject>().items.clear();
  return Value(None{});
}

Result<Value> list_copy(Interpreter& interpreter, const Value& self, const Bound&) {
  LLMRUN_ASSIGN(std::vector<Value> items, elements(interpreter.heap(), self));
  return interpreter.heap().list(std::move(items));
}

constexpr MethodEntry kListMethods[] = {
    {"append", "object", list_append},
    {"extend", "iterable", list_extend},
    {"insert", "index object", list_insert},
    {"pop", "index?", list_pop},
    {"remove", "value", list_remove},
    {"index", "value", list_index},
    {"count", "value", list_count},
    {"reverse", "", list_reverse},
    {"sort", "key? reverse?", list_sort},
    {"clear", "", list_clear},
    {"copy", "", list_copy},
};

template <ObjectKind flavour>
Result<Value> dict_view(Interpreter& interpreter, const Value& self, const Bound&) {
  Heap& heap = interpreter.heap();
  const auto& dict = self.as<DictObject>();
  LLMRUN_TRY(heap.spend(1 + dict.size() / 8));
  LLMRUN_TRY(heap.require(dict.size() * sizeof(Value)));
  std::vector<Value> items;
  items.reserve(dict.size());
  for (const DictObject::Entry& entry : dict.entries()) {
    if (flavour == ObjectKind::kDictKeys) {
      items.push_back(entry.key);
    } else if (flavour == ObjectKind::kDictValues) {
      items.push_back(entry.value);
    } else {
      LLMRUN_ASSIGN(Value pair, heap.pair(entry.key, entry.value));
      items.push_back(std::move(pair));
    }
  }
  return heap.list(std::move(items), flavour);
}

Result<std::string> key_argument(const Value& key) {
  std::optional<std::string> hashed = hash_key(key);
  if (!hashed) return template_error("a {} cannot be a key of a dictionary", type_name(key));
  return std::move(*hashed);
}

Result<Value> dict_get(Interpreter&, const Value& self, const Bound& arguments) {
  LLMRUN_ASSIGN(const std::string key, key_argument(arguments[0]));
  const Value* found = self.as<DictObject>().find_hashed(key);
  if (found != nullptr) return *found;
  return arguments.has(1) ? arguments[1] : Value(None{});
}

Result<Value> dict_pop(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  auto& dict = self.as<DictObject>();
  LLMRUN_ASSIGN(const std::string key, key_argument(arguments[0]));
  const Value* found = dict.find_hashed(key);
  if (found == nullptr) {
    if (arguments.has(1)) return arguments[1];
    return template_error("pop(): the dictionary has no such key");
  }
  LLMRUN_TRY(interpreter.heap().spend(1 + dict.size()));
  Value value = *found;
  dict.erase(key);
  return value;
}

Result<Value> dict_popitem(Interpreter& interpreter, const Value& self, const Bound&) {
  auto& dict = self.as<DictObject>();
  if (dict.size() == 0) return template_error("popitem(): the dictionary is empty");
  LLMRUN_TRY(interpreter.heap().spend(1 + dict.size()));
  const DictObject::Entry last = dict.entries().back();
  LLMRUN_ASSIGN(const std::string key, key_argument(last.key));
  dict.erase(key);
  return interpreter.heap().pair(last.key, last.value);
}

Result<Value> dict_setdefault(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  auto& dict = self.as<DictObject>();
  LLMRUN_ASSIGN(const std::string key, key_argument(arguments[0]));
  if (const Value* found = dict.find_hashed(key)) return *found;
  const Value value = arguments.has(1) ? arguments[1] : Value(None{});
  LLMRUN_TRY(interpreter.heap().set(dict, arguments[0], value));
  return value;
}

Result<Value> dict_update(Interpreter& interpreter, const Value& self, const Bound& arguments) {
  LLMRUN_TRY(fill_dict(interpreter.heap(), self.as<DictObject>(), arguments.raw));
  return Value(None{});
}

Result<Value> dict_clear(Interpreter&, const Value& self, const Bound&) {
  self.as<DictObject>().clear();
  return Value(None{});
}

Result<Value> dict_copy(Interpreter& interpreter, const Value& self, const Bound&) {
  LLMRUN_ASSIGN(DictObject * copy, interpreter.heap().dict());
  CallArguments source;
  source.positional.push_back(self);
  LLMRUN_TRY(fill_dict(interpreter.heap(), *copy, source));
  return Value(copy);
}

constexpr MethodEntry kDictMethods[] = {
    {"items", "", dict_view<ObjectKind::kDictItems>},
    {"keys", "", dict_view<ObjectKind::kDictKeys>},
    {"values", "", dict_view<ObjectKind::kDictValues>},
    {"get", "key default?", dict_get},
    {"pop", "key default?", dict_pop},
    {"popitem", "", dict_popitem},
    {"setdefault", "key default?", dict_setdefault},
    {"update", "*", dict_update},
    {"clear", "", dict_clear},
    {"copy", "", dict_copy},
};

}  // namespace

std::span<const MethodEntry> list_methods() { return kListMethods; }
std::span<const MethodEntry> dict_methods() { return kDictMethods; }

}  // namespace llmrun::chat::jinja
