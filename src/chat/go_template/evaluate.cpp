// Pipelines of Go templates: commands, fields, variables, calls.
#include "base/error.h"
#include "chat/go_template/interpreter.h"

namespace llmrun::chat::go_template {
namespace {

uint64_t memory_of(const Value& made) {
  if (const Text* const text = made.as_text()) return text->memory_bytes();
  if (const List* const list = made.as_list()) return list->items.size() * sizeof(Value);
  return 0;
}

}  // namespace

// The innermost variable of that name in the definition that runs; null when there is none.
Value* Interpreter::variable(std::string_view name) {
  for (size_t i = variables_.size(); i-- > first_variable_;) {
    if (variables_[i].first == name) return &variables_[i].second;
  }
  return nullptr;
}

Result<Value> Interpreter::pipeline(const Pipeline& pipeline, const Value& dot) {
  if (++depth_ > limits_.max_depth) {
    return error(pipeline.offset,
                 fmt::format("the template is nested more than {} deep", limits_.max_depth));
  }
  Value value;
  for (size_t i = 0; i < pipeline.commands.size(); ++i) {
    LLMRUN_ASSIGN(Value next, command(pipeline.commands[i], dot, i == 0 ? nullptr : &value));
    value = std::move(next);
  }
  for (const std::string& name : pipeline.variables) {
    if (!pipeline.assigns) {
      variables_.emplace_back(name, value);
    } else if (Value* const known = variable(name)) {
      *known = value;
    } else {
      return error(pipeline.offset, fmt::format("the variable {} is not defined here", name));
    }
  }
  --depth_;
  return value;
}

Result<Value> Interpreter::command(const Command& command, const Value& dot, const Value* piped) {
  LLMRUN_TRY(spend(1));
  const Operand& first = command.operands.front();
  if (first.kind == Operand::Kind::kFunction && first.fields.empty()) {
    return function(command, dot, piped);
  }
  if (first.kind == Operand::Kind::kNil) return error(first.offset, "nil is not a command");
  if (command.operands.size() > 1 || piped != nullptr) {
    return error(first.offset, "this is no function, and so takes no arguments");
  }
  return operand(first, dot);
}

Result<Value> Interpreter::function(const Command& command, const Value& dot, const Value* piped) {
  const Operand& name = command.operands.front();
  if (name.function == Function::kAnd || name.function == Function::kOr) {
    return short_circuit(command, dot, piped);
  }
  std::vector<Value> arguments;
  for (size_t i = 1; i < command.operands.size(); ++i) {
    LLMRUN_ASSIGN(Value one, operand(command.operands[i], dot));
    arguments.push_back(std::move(one));
  }
  if (piped != nullptr) arguments.push_back(*piped);
  const CallContext context{now_, limits_.max_memory_bytes - made_bytes_};
  Result<Value> result = call(name.function, arguments, context);
  if (!result) return error(name.offset, result.error().message);
  if (name.function != Function::kIndex) LLMRUN_TRY(book(memory_of(*result)));
  return result;
}

// `and` and `or` end at the first argument that decides.
Result<Value> Interpreter::short_circuit(const Command& command, const Value& dot,
                                         const Value* piped) {
  const Operand& name = command.operands.front();
  if (command.operands.size() == 1 && piped == nullptr) {
    return error(name.offset, fmt::format("{} needs an argument", name.name));
  }
  Value value;
  for (size_t i = 1; i < command.operands.size(); ++i) {
    LLMRUN_ASSIGN(value, operand(command.operands[i], dot));
    if (truth(value) == (name.function == Function::kOr)) return value;
  }
  return piped == nullptr ? value : *piped;
}

Result<Value> Interpreter::operand(const Operand& operand, const Value& dot) {
  switch (operand.kind) {
    case Operand::Kind::kDot:
      return fields(operand, dot);
    case Operand::Kind::kVariable:
      if (const Value* const value = variable(operand.name)) return fields(operand, *value);
      return error(operand.offset,
                   fmt::format("the variable {} is not defined here", operand.name));
    case Operand::Kind::kConstant:
      return operand.constant;
    case Operand::Kind::kNil:
      return Value();
    case Operand::Kind::kFunction: {  // called without arguments
      Command alone;
      alone.operands.push_back(operand);
      alone.operands.front().fields.clear();
      LLMRUN_ASSIGN(Value value, function(alone, dot, nullptr));
      return fields(operand, std::move(value));
    }
    case Operand::Kind::kPipeline: {
      LLMRUN_ASSIGN(Value value, pipeline(*operand.pipeline, dot));
      return fields(operand, std::move(value));
    }
  }
  return Value();
}

Result<Value> Interpreter::fields(const Operand& operand, Value value) {
  for (size_t i = 0; i < operand.fields.size(); ++i) {
    if (i > 0 && value.is_nil()) {
      return error(operand.offset, fmt::format("there is no field {} of nil", operand.fields[i]));
    }
    LLMRUN_ASSIGN(value, field(operand, value, operand.fields[i]));
  }
  return value;
}

Result<Value> Interpreter::field(const Operand& operand, const Value& receiver,
                                 const std::string& name) const {
  if (receiver.is_nil()) return Value();
  if (const Object* const object = receiver.as_object()) {
    const Value* const found = object->find(name);
    if (found != nullptr) return *found;
    if (!object->is_struct) return Value();
  }
  return error(operand.offset,
               fmt::format("can't evaluate field {} in type {}", name, type_name(receiver)));
}

}  // namespace llmrun::chat::go_template
