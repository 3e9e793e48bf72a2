// Budgets: every allocation that a template can make passes through here.
#include "chat/jinja/heap.h"

namespace llmrun::chat::jinja {

Result<void> Heap::steps_exceeded() const {
  return template_error(
      "the template does not come to an end within its budget of {} steps; it may loop forever, "
      "or the conversation is too long for it",
      max_steps_);
}

Result<void> Heap::require(uint64_t bytes) const {
  if (bytes <= free_bytes()) return {};
  return template_error("the template needs more memory than its budget of {} MiB",
                        meter_.max_bytes >> 20U);
}

Result<void> Heap::book(uint64_t bytes) {
  LLMRUN_TRY(require(bytes));
  meter_.live_bytes += bytes;
  return {};
}

Result<Value> Heap::text(TextBuilder& builder, bool markup) {
  if (builder.overflow()) LLMRUN_TRY(require(UINT64_MAX));
  return text(builder.take(), markup);
}

Result<Value> Heap::text(Text text, bool markup) {
  LLMRUN_TRY(spend_bytes(text.size()));
  LLMRUN_TRY(require(text.memory_bytes() + sizeof(StringData)));
  return Value(std::make_shared<const StringData>(std::move(text), markup, &meter_));
}

Result<Value> Heap::part(const Value& source, std::string_view part) {
  if (part.size() == source.text().size()) return source;
  TextBuilder out = builder();
  out.append(source.text(), part);
  return text(out, source.as_string().markup());
}

Result<Value> Heap::list(std::vector<Value> items, ObjectKind flavour) {
  LLMRUN_TRY(spend(items.size() / 8));
  LLMRUN_TRY(book(items.capacity() * sizeof(Value)));
  LLMRUN_ASSIGN(ListObject * object, make<ListObject>(flavour, std::move(items)));
  return Value(object);
}

Result<Value> Heap::pair(Value first, Value second) {
  std::vector<Value> items;
  items.reserve(2);
  items.push_back(std::move(first));
  items.push_back(std::move(second));
  return list(std::move(items), ObjectKind::kTuple);
}

Result<void> Heap::append(ListObject& list, Value item) {
  LLMRUN_TRY(spend(1));
  LLMRUN_TRY(book(2 * sizeof(Value)));  // a vector grows by doubling
  list.items.push_back(std::move(item));
  return {};
}

Result<DictObject*> Heap::dict(ObjectKind flavour) { return make<DictObject>(flavour); }

Result<void> Heap::set(DictObject& dict, const Value& key, Value value) {
  LLMRUN_TRY(spend(1));
  const std::optional<std::string> hashed = hash_key(key);
  if (!hashed) {
    return template_error("a value of type {} cannot be a key of a dictionary", type_name(key));
  }
  // The key stands twice (list and index), each a string object and its bytes.
  LLMRUN_TRY(book(sizeof(DictObject::Entry) + 2 * (hashed->size() + 2 * sizeof(std::string))));
  dict.set(*hashed, key, std::move(value));
  return {};
}

Result<void> Heap::set(DictObject& dict, std::string_view key, bool trusted_key, Value value) {
  LLMRUN_ASSIGN(const Value name, text(key, trusted_key));
  return set(dict, name, std::move(value));
}

}  // namespace llmrun::chat::jinja
