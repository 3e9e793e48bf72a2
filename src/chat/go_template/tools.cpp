// Tool descriptions as Ollama's templates see them: structs whose fields have names of their own,
// printed as JSON in a fixed order.
#include <array>

#include "base/error.h"
#include "chat/go_template/conversation.h"

namespace llmrun::chat::go_template {
namespace {

Member field(std::string name, Value value, std::string json_name, bool omit_empty = false) {
  return {.name = std::move(name),
          .value = std::move(value),
          .json_name = std::move(json_name),
          .omit_empty = omit_empty};
}

Value member(const Object* object, std::string_view name) {
  const Value* const found = object == nullptr ? nullptr : object->find(name);
  return found == nullptr ? Value() : *found;
}

Value text_or_empty(Value value) {
  return value.as_text() != nullptr ? value : Value::text("", false);
}

// One name of a type is a text; several stay a list.
Value type_value(const Value& type) {
  const List* const list = type.as_list();
  if (list != nullptr) return list->items.size() == 1 ? list->items[0] : type;
  return text_or_empty(type);
}

std::string type_script_name(std::string_view type) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNames = {{
      {"string", "string"},
      {"integer", "number"},
      {"number", "number"},
      {"boolean", "boolean"},
      {"array", "any[]"},
      {"object", "Record<string, any>"},
      {"null", "null"},
  }};
  for (const auto& [json, script] : kNames) {
    if (json == type) return std::string(script);
  }
  return "any";
}

std::string type_script_type(const Object* property) {
  std::string joined;
  const auto add = [&](const std::string& name) { joined += (joined.empty() ? "" : " | ") + name; };
  const Value any_of = member(property, "anyOf");
  const Value type = member(property, "type");
  if (const List* const list = any_of.as_list()) {
    for (const Value& each : list->items) add(type_script_type(each.as_object()));
  } else if (const List* const types = type.as_list()) {
    for (const Value& each : types->items) {
      add(type_script_name(each.as_text() != nullptr ? each.as_text()->view() : ""));
    }
  } else if (const Text* const text = type.as_text()) {
    add(type_script_name(text->view()));
  }
  return joined.empty() ? "any" : joined;
}

Value properties_value(const Value& properties);

Value property_value(const Value& value) {
  const Object* const property = value.as_object();
  if (property == nullptr) return value;
  std::vector<Member> fields = {
      field("AnyOf", member(property, "anyOf"), "anyOf", true),
      field("Type", type_value(member(property, "type")), "type", true),
      field("Items", member(property, "items"), "items", true),
      field("Description", text_or_empty(member(property, "description")), "description", true),
      field("Enum", member(property, "enum"), "enum", true),
      field("Properties", properties_value(member(property, "properties")), "properties", true)};
  for (const Member& other : property->members) {  // what has no field: minimum, format, …
    bool known = false;
    for (const Member& each : fields) known = known || each.json_name == other.name;
    if (!known) fields.push_back(other);
  }
  Member script = field("ToTypeScriptType", Value::text(type_script_type(property), true), {});
  script.is_method = true;
  fields.push_back(std::move(script));
  return Value(make_struct("ToolProperty", std::move(fields)));
}

Value properties_value(const Value& properties) {
  const Object* const object = properties.as_object();
  if (object == nullptr) return {};
  std::vector<Member> members;
  for (const Member& each : object->members) {
    members.push_back({.name = each.name, .value = property_value(each.value), .json_name = {}});
  }
  return Value(make_map(std::move(members), /*prints_json=*/true));
}

ObjectRef printed_as_json(ObjectRef made) {
  auto object = std::make_shared<Object>(*made);
  object->prints_json = true;
  return object;
}

Value parameters_value(const Object* parameters) {
  return Value(printed_as_json(make_struct(
      "ToolFunctionParameters",
      {field("Type", text_or_empty(member(parameters, "type")), "type"),
       field("Defs", member(parameters, "$defs"), "$defs", true),
       field("Items", member(parameters, "items"), "items", true),
       field("Required", member(parameters, "required"), "required", true),
       field("Properties", properties_value(member(parameters, "properties")), "properties")})));
}

Value tool_value(const Object& tool) {
  const Value function_json = member(&tool, "function");
  const Object* const function = function_json.as_object();
  const Value parameters_json = member(function, "parameters");
  Value function_fields(printed_as_json(make_struct(
      "ToolFunction",
      {field("Name", text_or_empty(member(function, "name")), "name"),
       field("Description", text_or_empty(member(function, "description")), "description", true),
       field("Parameters", parameters_value(parameters_json.as_object()), "parameters")})));
  return Value(printed_as_json(
      make_struct("Tool", {field("Type", text_or_empty(member(&tool, "type")), "type"),
                           field("Items", member(&tool, "items"), "items", true),
                           field("Function", std::move(function_fields), "function")})));
}

}  // namespace

Result<Value> tools_value(std::string_view tools_json) {
  if (tools_json.empty()) return Value(make_list({}, /*prints_json=*/true));
  LLMRUN_ASSIGN(const Value parsed, parse_json(tools_json, "the tools"));
  const List* const list = parsed.as_list();
  if (list == nullptr) return make_error(ErrorCode::kUsage, "the tools must be a JSON array");
  std::vector<Value> tools;
  for (const Value& each : list->items) {
    if (each.as_object() == nullptr) {
      return make_error(ErrorCode::kUsage, "the tools must be JSON objects");
    }
    tools.push_back(tool_value(*each.as_object()));
  }
  return Value(make_list(std::move(tools), /*prints_json=*/true));
}

}  // namespace llmrun::chat::go_template
