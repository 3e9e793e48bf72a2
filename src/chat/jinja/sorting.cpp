// Order by keys, with the comparison's errors and budget carried out of std::stable_sort.
#include "chat/jinja/sorting.h"

#include <algorithm>
#include <optional>

#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {
namespace {

Result<bool> before(Heap& heap, const SortItem& a, const SortItem& b) {
  for (size_t i = 0; i < a.keys.size(); ++i) {
    LLMRUN_ASSIGN(const bool same, equal(heap, a.keys[i], b.keys[i]));
    if (!same) return less(heap, a.keys[i], b.keys[i]);
  }
  return false;
}

}  // namespace

Result<void> sort_items(Heap& heap, std::vector<SortItem>& items, bool reverse) {
  LLMRUN_TRY(heap.require(2 * items.size() * sizeof(SortItem)));
  std::optional<Error> failure;
  std::stable_sort(items.begin(), items.end(), [&](const SortItem& a, const SortItem& b) {
    if (failure) return false;
    const Result<bool> result = reverse ? before(heap, b, a) : before(heap, a, b);
    if (!result) failure = result.error();
    return result.value_or(false);
  });
  if (failure) return tl::unexpected<Error>(std::move(*failure));
  return {};
}

Result<void> fill_dict(Heap& heap, DictObject& dict, const CallArguments& arguments) {
  for (const Value& source : arguments.positional) {
    if (source.is_dict()) {
      const std::vector<DictObject::Entry> entries = source.as<DictObject>().entries();
      for (const auto& [key, value] : entries) LLMRUN_TRY(heap.set(dict, key, value));
      continue;
    }
    LLMRUN_ASSIGN(const std::vector<Value> pairs, elements(heap, source));
    for (const Value& pair : pairs) {
      LLMRUN_ASSIGN(const std::vector<Value> parts, elements(heap, pair));
      if (parts.size() != 2) return template_error("a dictionary is made of pairs");
      LLMRUN_TRY(heap.set(dict, parts[0], parts[1]));
    }
  }
  for (const auto& [name, value] : arguments.named) {
    LLMRUN_TRY(heap.set(dict, name, true, value));
  }
  return {};
}

}  // namespace llmrun::chat::jinja
