// Sorting by keys, and filling dictionaries: shared by filters and methods.
#pragma once

#include <vector>

#include "chat/jinja/builtins.h"
#include "chat/jinja/heap.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

struct SortItem {
  std::vector<Value> keys;  // compared one after the other
  Value value;
};

// Stable; an error when two keys have no order.
Result<void> sort_items(Heap& heap, std::vector<SortItem>& items, bool reverse);

// dict(), namespace() and dict.update(): mappings or pairs, then named values.
Result<void> fill_dict(Heap& heap, DictObject& dict, const CallArguments& arguments);

}  // namespace llmrun::chat::jinja
