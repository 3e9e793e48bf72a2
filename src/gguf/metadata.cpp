// Looks keys up and puts their names into the errors.
#include "gguf/metadata.h"

#include <utility>

#include "gguf/limits.h"

namespace llmrun::gguf {
namespace {

template <typename T>
Result<T> name_key(Result<T> result, std::string_view key) {
  if (!result) {
    result.error().message = fmt::format("metadata key '{}': {}", key, result.error().message);
  }
  return result;
}

}  // namespace

const Value* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

Result<const Value*> Metadata::require(std::string_view key) const {
  if (const Value* value = find(key)) return value;
  return make_error(ErrorCode::kNotFound,
                    "the model file has no metadata key '{}', which this model needs; the file is "
                    "incomplete or was made by a converter that does not know this architecture",
                    key);
}

template <typename T>
Result<T> Metadata::get(std::string_view key) const {
  LLMRUN_ASSIGN(const Value* value, require(key));
  return name_key(value->as<T>(), key);
}

template <typename T>
Result<std::vector<T>> Metadata::get_array(std::string_view key) const {
  LLMRUN_ASSIGN(const Value* value, require(key));
  return name_key(value->as_array<T>(), key);
}

template <typename T>
Result<std::vector<T>> Metadata::get_per_layer(std::string_view key, size_t n) const {
  LLMRUN_ASSIGN(const Value* value, require(key));
  if (n > kMaxTensors) {  // n comes from the file too, and is about to be allocated
    return make_error(ErrorCode::kBadModel, "{} layers; at most {} are allowed", n, kMaxTensors);
  }
  if (!value->is_array()) {
    LLMRUN_ASSIGN(const T single, name_key(value->as<T>(), key));
    return std::vector<T>(n, single);
  }
  LLMRUN_ASSIGN(auto all, name_key(value->as_array<T>(), key));
  if (all.size() != n) {
    return make_error(ErrorCode::kBadModel,
                      "metadata key '{}' is an array of {} elements; wanted one for each of {} "
                      "layers",
                      key, all.size(), n);
  }
  return all;
}

bool Metadata::add(std::string_view key, const Value& value) {
  if (!index_.emplace(key, entries_.size()).second) return false;
  entries_.push_back({key, value});
  return true;
}

void Metadata::reserve(size_t n_entries) {
  entries_.reserve(n_entries);
  index_.reserve(n_entries);
}

#define LLMRUN_INSTANTIATE(T)                                                     \
  template Result<T> Metadata::get<T>(std::string_view) const;                    \
  template Result<std::vector<T>> Metadata::get_array<T>(std::string_view) const; \
  template Result<std::vector<T>> Metadata::get_per_layer<T>(std::string_view, size_t) const;
#define LLMRUN_GGUF_NUMBER LLMRUN_INSTANTIATE
#define LLMRUN_GGUF_TEXT LLMRUN_INSTANTIATE
#include "gguf/value_types.def"
#undef LLMRUN_INSTANTIATE

}  // namespace llmrun::gguf
