// The values that a Go template computes with: Go's nil, bool, int, float64, string, slices, maps
// and structs. All are immutable and shared; a template cannot build containers, so there are no
// cycles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "chat/jinja/text.h"
#include "llmrun/error.h"

namespace llmrun::chat::go_template {

// Text that knows which of its bytes the template wrote and which the conversation.
using jinja::Text;
using jinja::TextBuilder;

struct List;
struct Object;
using TextRef = std::shared_ptr<const Text>;
using ListRef = std::shared_ptr<const List>;
using ObjectRef = std::shared_ptr<const Object>;

class Value {
 public:
  Value() = default;  // nil
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(Text text) : data_(std::make_shared<const Text>(std::move(text))) {}
  explicit Value(ListRef list) : data_(std::move(list)) {}
  explicit Value(ObjectRef object) : data_(std::move(object)) {}

  static Value text(std::string_view bytes, bool trusted) {
    return Value(Text(std::string(bytes), trusted));
  }

  [[nodiscard]] bool is_nil() const { return std::holds_alternative<std::monostate>(data_); }
  // Null when the value is of another type.
  [[nodiscard]] const bool* as_bool() const { return std::get_if<bool>(&data_); }
  [[nodiscard]] const int64_t* as_int() const { return std::get_if<int64_t>(&data_); }
  [[nodiscard]] const double* as_float() const { return std::get_if<double>(&data_); }
  [[nodiscard]] const Text* as_text() const {
    const auto* ref = std::get_if<TextRef>(&data_);
    return ref == nullptr ? nullptr : ref->get();
  }
  [[nodiscard]] const List* as_list() const {
    const auto* ref = std::get_if<ListRef>(&data_);
    return ref == nullptr ? nullptr : ref->get();
  }
  [[nodiscard]] const Object* as_object() const {
    const auto* ref = std::get_if<ObjectRef>(&data_);
    return ref == nullptr ? nullptr : ref->get();
  }
  [[nodiscard]] bool same_kind(const Value& other) const {
    return data_.index() == other.data_.index();
  }

 private:
  std::variant<std::monostate, bool, int64_t, double, TextRef, ListRef, ObjectRef> data_;
};

struct List {
  std::vector<Value> items;
  bool prints_json = false;  // as a Go type whose String() gives JSON
};

struct Member {
  std::string name;  // as the template writes it: a map's key, or a field ("ToolCalls")
  Value value;
  std::string json_name;    // empty: as name
  bool omit_empty = false;  // not in JSON while it is nil, false, 0 or empty
  bool is_method = false;   // computed: never printed
  bool trusted = false;     // the name, when it is printed: the template's author knows it
};

// A Go map with string keys, sorted by name, or a struct, in the order of its fields.
struct Object {
  std::vector<Member> members;
  bool is_struct = false;
  bool prints_json = false;
  std::string type_name;  // of a struct, for errors

  [[nodiscard]] const Value* find(std::string_view name) const;
};

ListRef make_list(std::vector<Value> items, bool prints_json = false);
// Sorts the members.
ObjectRef make_map(std::vector<Member> members, bool prints_json = false);
ObjectRef make_struct(std::string type_name, std::vector<Member> members);

// Go's notion of truth: not the zero value of its type.
[[nodiscard]] bool truth(const Value& value);
[[nodiscard]] std::string type_name(const Value& value);  // "string", "[]interface {}"

// As fmt's %v writes it; nil inside of containers is "<nil>". Printing stops when `out` is full.
void print(TextBuilder& out, const Value& value);
// As encoding/json does: no blanks, < > & escaped, keys in the object's order.
void write_json(TextBuilder& out, const Value& value);
[[nodiscard]] std::string format_float(double value, char verb, int precision);

// A JSON text as maps, slices, strings and float64. Strings of it are untrusted. `what` names it in
// errors.
Result<Value> parse_json(std::string_view json, std::string_view what);

}  // namespace llmrun::chat::go_template
