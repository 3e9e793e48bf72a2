// Values and their containers. Everything here is total: no call can fail.
#include "chat/jinja/value.h"

#include <fmt/format.h>

#include <cmath>

#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {

StringData::StringData(Text text, bool markup, Meter* meter)
    : text_(std::move(text)),
      meter_(meter),
      length_(count_characters(text_.view())),
      markup_(markup) {
  if (meter_ != nullptr) meter_->live_bytes += text_.memory_bytes() + sizeof(StringData);
}

StringData::~StringData() {
  if (meter_ != nullptr) meter_->live_bytes -= text_.memory_bytes() + sizeof(StringData);
}

bool Value::is_sequence() const {
  return is_object() && as_object()->kind <= ObjectKind::kDictItems;
}

std::optional<int64_t> Value::integer() const {
  if (is_int()) return as_int();
  if (is_bool()) return as_bool() ? 1 : 0;
  return std::nullopt;
}

double Value::number() const {
  if (is_float()) return as_float();
  return static_cast<double>(integer().value_or(0));
}

std::string Value::undefined_reason() const {
  const auto* undefined = std::get_if<Undefined>(&data_);
  if (undefined == nullptr || undefined->reason == nullptr) return "the value is undefined";
  return *undefined->reason;
}

std::string_view hash_key_of_string(std::string_view key, std::string& storage) {
  if (key.empty() || key.front() != '\0') return key;
  storage = std::string("\0s", 2).append(key);
  return storage;
}

std::optional<std::string> hash_key(const Value& key, int depth) {
  constexpr int kMaxTupleDepth = 32;
  switch (key.kind()) {
    case Value::Kind::kNone:
      return std::string("\0n", 2);
    case Value::Kind::kBool:
    case Value::Kind::kInt:
      return std::string("\0i", 2) + std::to_string(*key.integer());
    case Value::Kind::kFloat: {
      const double number = key.as_float();
      // 2^62 bounds the range in which the conversion is exact and defined.
      if (std::abs(number) < 4611686018427387904.0 && number == std::trunc(number)) {
        return std::string("\0i", 2) + std::to_string(static_cast<int64_t>(number));
      }
      return std::string("\0f", 2) + fmt::format("{}", number);
    }
    case Value::Kind::kString: {
      std::string storage;
      return std::string(hash_key_of_string(key.view(), storage));
    }
    case Value::Kind::kUndefined:
      return std::string("\0u", 2);
    case Value::Kind::kObject:
      break;
  }
  const Object* object = key.as_object();
  switch (object->kind) {
    case ObjectKind::kTuple: {
      if (depth > kMaxTupleDepth) return std::nullopt;
      std::string joined("\0t", 2);
      for (const Value& item : key.as<ListObject>().items) {
        const std::optional<std::string> part = hash_key(item, depth + 1);
        if (!part) return std::nullopt;
        joined += fmt::format("{}:", part->size());
        joined += *part;
        if (joined.size() > (1U << 20U)) return std::nullopt;
      }
      return joined;
    }
    case ObjectKind::kList:
    case ObjectKind::kDict:
    case ObjectKind::kDictKeys:
    case ObjectKind::kDictItems:
      return std::nullopt;
    default:
      return std::string("\0o", 2) + fmt::format("{}", static_cast<const void*>(object));
  }
}

size_t DictObject::position(std::string_view hash_key) const {
  if (entries_.size() > kLinear) {
    const auto found = index_.find(hash_key);
    return found == index_.end() ? entries_.size() : found->second;
  }
  for (size_t i = 0; i < hash_keys_.size(); ++i) {
    if (hash_keys_[i] == hash_key) return i;
  }
  return entries_.size();
}

const Value* DictObject::find(std::string_view key) const {
  std::string storage;
  return find_hashed(hash_key_of_string(key, storage));
}

const Value* DictObject::find_hashed(std::string_view hash_key) const {
  const size_t at = position(hash_key);
  return at < entries_.size() ? &entries_[at].value : nullptr;
}

void DictObject::set(std::string_view hash_key, Value key, Value value) {
  const size_t at = position(hash_key);
  if (at < entries_.size()) {
    entries_[at].value = std::move(value);
    return;
  }
  entries_.push_back({std::move(key), std::move(value)});
  hash_keys_.emplace_back(hash_key);
  if (entries_.size() == kLinear + 1) {
    reindex();
  } else if (entries_.size() > kLinear) {
    index_.emplace(hash_keys_.back(), at);
  }
}

bool DictObject::erase(std::string_view hash_key) {
  const size_t at = position(hash_key);
  if (at == entries_.size()) return false;
  const auto offset = static_cast<std::ptrdiff_t>(at);
  entries_.erase(entries_.begin() + offset);
  hash_keys_.erase(hash_keys_.begin() + offset);
  reindex();
  return true;
}

void DictObject::clear() {
  entries_.clear();
  hash_keys_.clear();
  index_.clear();
}

void DictObject::reindex() {
  index_.clear();
  if (entries_.size() <= kLinear) return;
  for (size_t i = 0; i < hash_keys_.size(); ++i) index_.emplace(hash_keys_[i], i);
}

uint64_t RangeObject::size() const {
  const auto first = static_cast<uint64_t>(start);
  const auto last = static_cast<uint64_t>(stop);
  if (step > 0) {
    if (start >= stop) return 0;
    return (last - first - 1) / static_cast<uint64_t>(step) + 1;
  }
  if (start <= stop) return 0;
  return (first - last - 1) / (0 - static_cast<uint64_t>(step)) + 1;
}

int64_t RangeObject::at(uint64_t index) const {
  return static_cast<int64_t>(static_cast<uint64_t>(start) + index * static_cast<uint64_t>(step));
}

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kUndefined:
    case Value::Kind::kNone:
      return false;
    case Value::Kind::kBool:
      return value.as_bool();
    case Value::Kind::kInt:
      return value.as_int() != 0;
    case Value::Kind::kFloat:
      return value.as_float() != 0;
    case Value::Kind::kString:
      return !value.text().empty();
    case Value::Kind::kObject:
      break;
  }
  const Object* object = value.as_object();
  switch (object->kind) {
    case ObjectKind::kList:
    case ObjectKind::kTuple:
    case ObjectKind::kDictKeys:
    case ObjectKind::kDictValues:
    case ObjectKind::kDictItems:
      return !value.as<ListObject>().items.empty();
    case ObjectKind::kDict:
      return value.as<DictObject>().size() > 0;
    case ObjectKind::kRange:
      return value.as<RangeObject>().size() > 0;
    default:
      return true;
  }
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kUndefined:
      return "Undefined";
    case Value::Kind::kNone:
      return "NoneType";
    case Value::Kind::kBool:
      return "bool";
    case Value::Kind::kInt:
      return "int";
    case Value::Kind::kFloat:
      return "float";
    case Value::Kind::kString:
      return value.as_string().markup() ? "Markup" : "str";
    case Value::Kind::kObject:
      break;
  }
  switch (value.as_object()->kind) {
    case ObjectKind::kList:
      return "list";
    case ObjectKind::kTuple:
      return "tuple";
    case ObjectKind::kIterator:
      return "generator";
    case ObjectKind::kDictKeys:
      return "dict_keys";
    case ObjectKind::kDictValues:
      return "dict_values";
    case ObjectKind::kDictItems:
      return "dict_items";
    case ObjectKind::kDict:
      return "dict";
    case ObjectKind::kNamespace:
      return "Namespace";
    case ObjectKind::kRange:
      return "range";
    case ObjectKind::kMacro:
      return "Macro";
    case ObjectKind::kFunction:
      return "function";
    case ObjectKind::kMethod:
      return "builtin_function_or_method";
    case ObjectKind::kLoop:
      return "LoopContext";
    case ObjectKind::kCycler:
      return "Cycler";
    case ObjectKind::kJoiner:
      return "Joiner";
    case ObjectKind::kScope:
      break;
  }
  return "object";
}

}  // namespace llmrun::chat::jinja
