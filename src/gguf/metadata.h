// The key-value part of a GGUF file. Typed access whose error names the key, what was wanted and
// what was found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/keyed_hash.h"
#include "gguf/value.h"

namespace llmrun::gguf {

class Metadata {
 public:
  struct Entry {
    std::string_view key;
    Value value;
  };

  // The value, or nothing when there is no such key.
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] bool contains(std::string_view key) const { return find(key) != nullptr; }

  // kNotFound when there is no such key, kBadModel when it is of another type or out of range.
  // Which types: see Value::as.
  template <typename T>
  [[nodiscard]] Result<T> get(std::string_view key) const;
  // The fallback when there is no such key. A key of the wrong type is an error all the same.
  template <typename T>
  [[nodiscard]] Result<T> get_or(std::string_view key, T fallback) const {
    if (!contains(key)) return fallback;
    return get<T>(key);
  }

  // An array; get_array<std::string_view> gives views into the file. A missing key is kNotFound.
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> get_array(std::string_view key) const;
  // The same, but a missing key is an empty array.
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> get_array_or_empty(std::string_view key) const {
    if (!contains(key)) return std::vector<T>();
    return get_array<T>(key);
  }
  // For keys that hold either one number for all layers or an array with one for each: exactly
  // `n` numbers, or kBadModel.
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> get_per_layer(std::string_view key, size_t n) const;

  // In the order of the file.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] size_t size() const { return entries_.size(); }

  // False when there is such a key already. The bytes behind `key` must outlive this object.
  bool add(std::string_view key, const Value& value);
  void reserve(size_t n_entries);

 private:
  [[nodiscard]] Result<const Value*> require(std::string_view key) const;

  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, size_t, KeyedHash> index_;  // key -> place in entries_
};

}  // namespace llmrun::gguf
