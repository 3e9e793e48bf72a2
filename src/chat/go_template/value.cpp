// Values of Go templates: look-up, truth, names of types, and JSON in.
#include "chat/go_template/value.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_depth.h"

namespace llmrun::chat::go_template {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxJsonDepth = 200;

Value from_json(const Json& json) {
  if (json.is_boolean()) return Value(json.get<bool>());
  if (json.is_number()) return Value(json.get<double>());
  if (json.is_string()) return Value::text(json.get_ref<const std::string&>(), false);
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.size());
    for (const Json& item : json) items.push_back(from_json(item));
    return Value(make_list(std::move(items)));
  }
  if (json.is_object()) {
    std::vector<Member> members;
    for (const auto& [name, item] : json.items()) {
      members.push_back({.name = name, .value = from_json(item), .json_name = {}});
    }
    return Value(make_map(std::move(members)));
  }
  return {};
}

}  // namespace

const Value* Object::find(std::string_view name) const {
  for (const Member& member : members) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

ListRef make_list(std::vector<Value> items, bool prints_json) {
  auto list = std::make_shared<List>();
  list->items = std::move(items);
  list->prints_json = prints_json;
  return list;
}

ObjectRef make_map(std::vector<Member> members, bool prints_json) {
  std::stable_sort(members.begin(), members.end(),
                   [](const Member& a, const Member& b) { return a.name < b.name; });
  auto object = std::make_shared<Object>();
  object->members = std::move(members);
  object->prints_json = prints_json;
  return object;
}

ObjectRef make_struct(std::string type_name, std::vector<Member> members) {
  auto object = std::make_shared<Object>();
  object->members = std::move(members);
  object->is_struct = true;
  object->type_name = std::move(type_name);
  return object;
}

bool truth(const Value& value) {
  if (const bool* const b = value.as_bool()) return *b;
  if (const int64_t* const i = value.as_int()) return *i != 0;
  if (const double* const f = value.as_float()) return *f != 0;
  if (const Text* const text = value.as_text()) return !text->empty();
  if (const List* const list = value.as_list()) return !list->items.empty();
  if (const Object* const object = value.as_object()) {
    return object->is_struct || !object->members.empty();
  }
  return false;
}

std::string type_name(const Value& value) {
  if (value.as_bool() != nullptr) return "bool";
  if (value.as_int() != nullptr) return "int";
  if (value.as_float() != nullptr) return "float64";
  if (value.as_text() != nullptr) return "string";
  if (value.as_list() != nullptr) return "[]interface {}";
  if (const Object* const object = value.as_object()) {
    return object->is_struct ? object->type_name : "map[string]interface {}";
  }
  return "nil";
}

Result<Value> parse_json(std::string_view json, std::string_view what) {
  if (json_is_deeper_than(json, kMaxJsonDepth)) {
    return make_error(ErrorCode::kUsage, "{}: the JSON is nested more than {} deep", what,
                      kMaxJsonDepth);
  }
  const Json parsed = Json::parse(json, nullptr, false);
  if (parsed.is_discarded()) return make_error(ErrorCode::kUsage, "{}: this is no JSON", what);
  return from_json(parsed);
}

}  // namespace llmrun::chat::go_template
