// Calls and attributes: what callee(…) and object.name mean for each kind of value.
#include <algorithm>

#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {
namespace {

Value no_attribute(const Value& object, std::string_view name) {
  return Value::undefined(
      fmt::format("'{} object' has no attribute '{}'", type_name(object), name));
}

}  // namespace

Result<Value> Interpreter::method(const Value& self, const MethodEntry& entry,
                                  CallArguments arguments) {
  LLMRUN_TRY(heap_.spend(1));
  LLMRUN_ASSIGN(const Bound bound, bind(entry.name, entry.parameters, std::move(arguments)));
  return entry.function(*this, self, bound);
}

Result<Value> Interpreter::call(const Value& callee, CallArguments arguments) {
  LLMRUN_TRY(heap_.spend(1));
  if (callee.is_undefined()) return template_error("{}", callee.undefined_reason());
  if (callee.is(ObjectKind::kMacro)) {
    return call_macro(callee.as<MacroObject>(), std::move(arguments));
  }
  if (callee.is(ObjectKind::kFunction)) {
    const FunctionEntry& entry = callee.as<FunctionObject>().entry;
    LLMRUN_ASSIGN(const Bound bound, bind(entry.name, entry.parameters, std::move(arguments)));
    return entry.function(*this, bound);
  }
  if (callee.is(ObjectKind::kMethod)) {
    const auto& bound_method = callee.as<MethodObject>();
    return method(bound_method.self, bound_method.entry, std::move(arguments));
  }
  if (callee.is(ObjectKind::kLoop)) return call_loop(callee.as<LoopObject>(), arguments);
  if (callee.is(ObjectKind::kJoiner)) {
    auto& joiner = callee.as<JoinerObject>();
    if (joiner.used) return joiner.separator;
    joiner.used = true;
    return heap_.text(std::string_view(), true);
  }
  return template_error("a value of type '{}' is not callable", type_name(callee));
}

Result<Value> Interpreter::call_macro(const MacroObject& macro, CallArguments arguments) {
  const DepthGuard guard(*this);
  const Frame frame(*this);
  LLMRUN_ASSIGN(scope_, new_scope(macro.closure));
  LLMRUN_TRY(bind_macro(macro, arguments));
  TextBuilder out = heap_.builder();
  out_ = &out;
  LLMRUN_TRY(execute(macro.node.body));
  return heap_.text(out);
}

Result<void> Interpreter::bind_macro(const MacroObject& macro, CallArguments& arguments) {
  const std::vector<Parameter>& parameters = macro.node.parameters;
  const size_t given = std::min(parameters.size(), arguments.positional.size());
  for (size_t i = 0; i < given; ++i) define(parameters[i].name, arguments.positional[i]);
  for (size_t i = given; i < parameters.size(); ++i) {
    const std::string& name = name_of(parameters[i].name);
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&name](const auto& entry) { return entry.first == name; });
    if (named != arguments.named.end()) {
      define(parameters[i].name, std::move(named->second));
      arguments.named.erase(named);
    } else if (parameters[i].fallback != nullptr) {
      LLMRUN_ASSIGN(Value value, evaluate(*parameters[i].fallback));
      define(parameters[i].name, std::move(value));
    } else {
      define(parameters[i].name,
             Value::undefined(fmt::format("parameter '{}' was not provided", name)));
    }
  }
  return bind_macro_rest(macro, arguments, given);
}

// What no parameter took goes to varargs, kwargs and caller, if the body mentions them.
Result<void> Interpreter::bind_macro_rest(const MacroObject& macro, CallArguments& arguments,
                                          size_t used) {
  const std::string_view name =
      macro.node.kind == StmtKind::kMacro ? std::string_view(name_of(macro.node.name)) : "caller";
  if (macro.node.uses_caller) {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [](const auto& entry) { return entry.first == "caller"; });
    if (found != arguments.named.end()) {
      define(Template::kCaller, std::move(found->second));
      arguments.named.erase(found);
    } else if (macro.node.kind == StmtKind::kMacro) {
      define(Template::kCaller, Value::undefined("no caller was given to the macro"));
    }
  }
  if (macro.node.uses_kwargs) {
    LLMRUN_ASSIGN(DictObject * dict, heap_.dict());
    for (auto& [key, value] : arguments.named) {
      LLMRUN_TRY(heap_.set(*dict, key, true, std::move(value)));
    }
    define(Template::kKwargs, Value(dict));
  } else if (!arguments.named.empty()) {
    return template_error("macro '{}' takes no argument named '{}'", name,
                          arguments.named.front().first);
  }
  if (macro.node.uses_varargs) {
    const auto first = arguments.positional.begin() + static_cast<std::ptrdiff_t>(used);
    LLMRUN_ASSIGN(Value rest, heap_.list(std::vector<Value>(first, arguments.positional.end()),
                                         ObjectKind::kTuple));
    define(Template::kVarargs, std::move(rest));
  } else if (arguments.positional.size() > used) {
    return template_error("macro '{}' takes not more than {} arguments", name, used);
  }
  return {};
}

Result<Value> Interpreter::attribute(const Value& object, std::string_view name) {
  if (object.is_undefined()) return template_error("{}", object.undefined_reason());
  if (const MethodEntry* entry = find_method(object, name)) {
    LLMRUN_ASSIGN(MethodObject * bound, heap_.make<MethodObject>(object, *entry));
    return Value(bound);
  }
  if (!object.is_object()) return no_attribute(object, name);
  switch (object.as_object()->kind) {
    case ObjectKind::kDict:
    case ObjectKind::kNamespace: {
      const Value* found = object.as<DictObject>().find(name);
      return found != nullptr ? *found : no_attribute(object, name);
    }
    case ObjectKind::kLoop: {
      LLMRUN_ASSIGN(std::optional<Value> found, loop_attribute(object.as<LoopObject>(), name));
      return found ? std::move(*found) : no_attribute(object, name);
    }
    case ObjectKind::kCycler: {
      const auto& cycler = object.as<CyclerObject>();
      if (name == "current") return cycler.items[cycler.position];
      break;
    }
    case ObjectKind::kTuple: {
      const auto& tuple = object.as<ListObject>();
      if (tuple.is_group && name == "grouper") return tuple.items[0];
      if (tuple.is_group && name == "list") return tuple.items[1];
      break;
    }
    case ObjectKind::kMacro: {
      const auto& macro = object.as<MacroObject>();
      if (name == "name") return heap_.text(name_of(macro.node.name), true);
      break;
    }
    default:
      break;
  }
  return no_attribute(object, name);
}

Result<Value> Interpreter::item(const Value& object, const Value& key) {
  LLMRUN_ASSIGN(Value value, subscript(heap_, object, key));
  if (!value.is_undefined() || !key.is_string()) return value;
  return attribute(object, key.view());
}

Result<Value> Interpreter::apply_filter(std::string_view name, const Value& input,
                                        CallArguments arguments) {
  const DepthGuard guard(*this);
  if (depth_ > limits_.max_depth) return tl::unexpected<Error>(too_deep());
  LLMRUN_TRY(heap_.spend(1));
  const FilterEntry* filter = find_filter(name);
  if (filter == nullptr) return template_error("there is no filter named '{}'", name);
  LLMRUN_ASSIGN(const Bound bound, bind(filter->name, filter->parameters, std::move(arguments)));
  return filter->function(*this, input, bound);
}

Result<bool> Interpreter::apply_test(std::string_view name, const Value& input,
                                     CallArguments arguments) {
  LLMRUN_TRY(heap_.spend(1));
  const TestEntry* test = find_test(name);
  if (test == nullptr) return template_error("there is no test named '{}'", name);
  LLMRUN_ASSIGN(const Bound bound, bind(test->name, test->parameters, std::move(arguments)));
  return test->function(*this, input, bound);
}

}  // namespace llmrun::chat::jinja
