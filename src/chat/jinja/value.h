// The values a template computes with: Python's, as far as templates can see them.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "chat/jinja/text.h"

namespace llmrun::chat::jinja {

// A string and its cost. Strings are shared and immutable; the meter gets its bytes back when the
// last holder lets go, so the meter must outlive the string (constants of a template have none).
class StringData {
 public:
  StringData(Text text, bool markup, Meter* meter);
  ~StringData();
  StringData(const StringData&) = delete;
  StringData& operator=(const StringData&) = delete;

  const Text& text() const { return text_; }
  bool markup() const { return markup_; }    // passed through |safe or |escape
  size_t length() const { return length_; }  // in characters
  bool ascii() const { return length_ == text_.size(); }

 private:
  Text text_;
  Meter* meter_;
  size_t length_;
  bool markup_;
};

// Lists, dictionaries, functions…: they live in the heap of one render until it ends, so that
// reference cycles need no collector and deep nesting no recursive destructor.
enum class ObjectKind : uint8_t {
  kList,
  kTuple,
  kIterator,  // what map(), select()… and reversed() give: can be walked once, has no length
  kDictKeys,
  kDictValues,
  kDictItems,
  kDict,
  kNamespace,
  kRange,
  kMacro,
  kFunction,
  kMethod,
  kLoop,
  kCycler,
  kJoiner,
  kScope,
};

struct Object {
  explicit Object(ObjectKind object_kind) : kind(object_kind) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  ObjectKind kind;
};

struct None {};
// The value of a name or attribute that does not exist; `reason` is what using it will say.
struct Undefined {
  std::shared_ptr<const std::string> reason;
};

class Value {
 public:
  enum class Kind : uint8_t { kUndefined, kNone, kBool, kInt, kFloat, kString, kObject };

  Value() = default;  // undefined
  Value(None) : data_(None{}) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::shared_ptr<const StringData> text) : data_(std::move(text)) {}
  Value(Object* object) : data_(object) {}
  template <typename T>
  requires(!std::derived_from<T, Object>) Value(T*)
  = delete;  // would silently become a bool

  static Value undefined(std::string reason) {
    return Value(Undefined{std::make_shared<const std::string>(std::move(reason))});
  }

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_undefined() const { return kind() == Kind::kUndefined; }
  bool is_none() const { return kind() == Kind::kNone; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_int() const { return kind() == Kind::kInt; }
  bool is_float() const { return kind() == Kind::kFloat; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_object() const { return kind() == Kind::kObject; }
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  bool is(ObjectKind wanted) const { return is_object() && as_object()->kind == wanted; }
  bool is_dict() const { return is(ObjectKind::kDict); }
  bool is_list() const { return is(ObjectKind::kList); }
  bool is_tuple() const { return is(ObjectKind::kTuple); }
  bool is_sequence() const;  // a ListObject of any flavour

  bool as_bool() const { return *std::get_if<bool>(&data_); }
  int64_t as_int() const { return *std::get_if<int64_t>(&data_); }
  double as_float() const { return *std::get_if<double>(&data_); }
  Object* as_object() const {
    Object* const* held = std::get_if<Object*>(&data_);
    return held == nullptr ? nullptr : *held;
  }
  const StringData& as_string() const {
    return **std::get_if<std::shared_ptr<const StringData>>(&data_);
  }
  const Text& text() const { return as_string().text(); }
  std::string_view view() const { return as_string().text().view(); }
  template <typename T>
  T& as() const {
    return *static_cast<T*>(as_object());
  }

  // bool and int as an integer (True is 1 in arithmetic).
  std::optional<int64_t> integer() const;
  // Any number as a double.
  double number() const;
  std::string undefined_reason() const;

 private:
  explicit Value(Undefined undefined) : data_(std::move(undefined)) {}

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const StringData>, Object*>
      data_;
};

struct ListObject : Object {
  ListObject(ObjectKind flavour, std::vector<Value> elements)
      : Object(flavour), items(std::move(elements)) {}

  std::vector<Value> items;
  size_t consumed = 0;    // kIterator: how many were taken already
  bool is_group = false;  // kTuple made by |groupby: has .grouper and .list
};

// A dictionary in insertion order. Keys are what Python can hash: none, numbers, strings, tuples.
struct DictObject : Object {
  explicit DictObject(ObjectKind flavour = ObjectKind::kDict) : Object(flavour) {}

  struct Entry {
    Value key;
    Value value;
  };

  const Value* find(std::string_view key) const;
  // `hash_key` is what hash_key() below gave for the key.
  const Value* find_hashed(std::string_view hash_key) const;
  void set(std::string_view hash_key, Value key, Value value);
  bool erase(std::string_view hash_key);
  void clear();

  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr size_t kLinear = 8;  // up to this size a scan beats the index

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a == b; }
  };

  size_t position(std::string_view hash_key) const;  // entries_.size() when absent
  void reindex();

  std::vector<Entry> entries_;
  std::vector<std::string> hash_keys_;  // beside entries_
  std::unordered_map<std::string, size_t, Hash, Equal> index_;
};

struct RangeObject : Object {
  RangeObject(int64_t first, int64_t last, int64_t stride)
      : Object(ObjectKind::kRange), start(first), stop(last), step(stride) {}
  uint64_t size() const;
  int64_t at(uint64_t index) const;  // index < size()

  int64_t start;
  int64_t stop;
  int64_t step;  // not 0
};

struct CyclerObject : Object {
  explicit CyclerObject(std::vector<Value> choices)
      : Object(ObjectKind::kCycler), items(std::move(choices)) {}
  std::vector<Value> items;  // not empty
  size_t position = 0;
};

struct JoinerObject : Object {
  explicit JoinerObject(Value text) : Object(ObjectKind::kJoiner), separator(std::move(text)) {}
  Value separator;
  bool used = false;
};

// bool(value) of Python.
bool truthy(const Value& value);
// type(value).__name__ of Python, for messages.
std::string_view type_name(const Value& value);
// The text under which a dictionary files the key (1, 1.0 and True are the same key); none when
// the value cannot be hashed.
std::optional<std::string> hash_key(const Value& key, int depth = 0);
// The same for a string without making a copy, except in the rare case that `storage` is needed.
std::string_view hash_key_of_string(std::string_view key, std::string& storage);

}  // namespace llmrun::chat::jinja
