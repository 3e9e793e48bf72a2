// Expressions to values.
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {

// Every expression passes here: the budgets are charged and an error gets its place.
Result<Value> Interpreter::evaluate(const Expr& expression) {
  if (expression.kind == ExprKind::kConstant) return expression.constant;
  const DepthGuard guard(*this);
  if (depth_ > limits_.max_depth) return placed(too_deep(), expression.at);
  Result<Value> value = evaluate_kind(expression);
  if (!value && value.error().context.empty()) value.error().context = to_string(expression.at);
  return value;
}

Result<Value> Interpreter::evaluate_kind(const Expr& expression) {
  LLMRUN_TRY(heap_.spend(1));
  switch (expression.kind) {
    case ExprKind::kConstant:
      return expression.constant;
    case ExprKind::kName:
      return evaluate_name(expression);
    case ExprKind::kList:
    case ExprKind::kTuple:
      return evaluate_list(expression);
    case ExprKind::kDict:
      return evaluate_dict(expression);
    case ExprKind::kUnary:
      return evaluate_unary(expression);
    case ExprKind::kBinary:
      return evaluate_binary(expression);
    case ExprKind::kCompare:
      return evaluate_compare(expression);
    case ExprKind::kAnd:
    case ExprKind::kOr:
      return evaluate_logic(expression);
    case ExprKind::kConcat:
      return evaluate_concat(expression);
    case ExprKind::kConditional:
      return evaluate_conditional(expression);
    case ExprKind::kAttribute: {
      LLMRUN_ASSIGN(const Value object, evaluate(*expression.operands[0]));
      return attribute(object, name_of(expression.name));
    }
    case ExprKind::kSubscript: {
      LLMRUN_ASSIGN(const Value object, evaluate(*expression.operands[0]));
      LLMRUN_ASSIGN(const Value key, evaluate(*expression.operands[1]));
      return item(object, key);
    }
    case ExprKind::kSlice:
      return evaluate_slice(expression);
    case ExprKind::kCall:
      return evaluate_call(expression);
    case ExprKind::kFilter:
      return evaluate_filter(expression, nullptr);
    case ExprKind::kTest:
      return evaluate_test(expression);
  }
  return Value();
}

Result<Value> Interpreter::evaluate_name(const Expr& expression) {
  const NameId name = expression.name;
  for (const ScopeObject* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (const auto& [id, value] : scope->variables) {
      if (id == name) return value;
    }
  }
  if (!context_[name].is_undefined()) return context_[name];
  if (const FunctionEntry* function = find_function(name_of(name))) {
    LLMRUN_ASSIGN(FunctionObject * object, heap_.make<FunctionObject>(*function));
    context_[name] = Value(object);
    return context_[name];
  }
  return Value::undefined(fmt::format("'{}' is undefined", name_of(name)));
}

Result<Value> Interpreter::evaluate_list(const Expr& expression) {
  std::vector<Value> items;
  items.reserve(expression.operands.size());
  for (const Expr* operand : expression.operands) {
    LLMRUN_ASSIGN(Value value, evaluate(*operand));
    items.push_back(std::move(value));
  }
  return heap_.list(std::move(items),
                    expression.kind == ExprKind::kTuple ? ObjectKind::kTuple : ObjectKind::kList);
}

Result<Value> Interpreter::evaluate_dict(const Expr& expression) {
  LLMRUN_ASSIGN(DictObject * dict, heap_.dict());
  for (size_t i = 0; i + 1 < expression.operands.size(); i += 2) {
    LLMRUN_ASSIGN(const Value key, evaluate(*expression.operands[i]));
    LLMRUN_ASSIGN(Value value, evaluate(*expression.operands[i + 1]));
    LLMRUN_TRY(heap_.set(*dict, key, std::move(value)));
  }
  return Value(dict);
}

Result<Value> Interpreter::evaluate_unary(const Expr& expression) {
  LLMRUN_ASSIGN(const Value value, evaluate(*expression.operands[0]));
  if (expression.op == Operator::kNot) return Value(!truthy(value));
  return negate(value, expression.op == Operator::kNegate);
}

// a + b + c + … is a tree that leans left as deep as it is long; it is walked in a loop.
Result<Value> Interpreter::evaluate_binary(const Expr& expression) {
  std::vector<const Expr*> spine;
  const Expr* leftmost = &expression;
  while (leftmost->kind == ExprKind::kBinary) {
    spine.push_back(leftmost);
    leftmost = leftmost->operands[0];
  }
  LLMRUN_ASSIGN(Value result, evaluate(*leftmost));
  for (auto node = spine.rbegin(); node != spine.rend(); ++node) {
    LLMRUN_TRY(heap_.spend(1));
    LLMRUN_ASSIGN(const Value right, evaluate(*(*node)->operands[1]));
    Result<Value> next = arithmetic(heap_, (*node)->op, result, right);
    if (!next && next.error().context.empty()) next.error().context = to_string((*node)->at);
    LLMRUN_ASSIGN(result, std::move(next));
  }
  return result;
}

Result<Value> Interpreter::evaluate_compare(const Expr& expression) {
  LLMRUN_ASSIGN(Value left, evaluate(*expression.operands[0]));
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    LLMRUN_ASSIGN(Value right, evaluate(*expression.operands[i + 1]));
    LLMRUN_ASSIGN(const bool holds, compare(heap_, expression.operators[i], left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Interpreter::evaluate_logic(const Expr& expression) {
  const bool stops_at = expression.kind == ExprKind::kOr;
  Value value;
  for (const Expr* operand : expression.operands) {
    LLMRUN_ASSIGN(value, evaluate(*operand));
    if (truthy(value) == stops_at) break;
  }
  return value;
}

Result<Value> Interpreter::evaluate_concat(const Expr& expression) {
  TextBuilder out = heap_.builder();
  for (const Expr* operand : expression.operands) {
    LLMRUN_ASSIGN(const Value part, evaluate(*operand));
    note_printed(part);
    LLMRUN_TRY(write_string(heap_, out, part));
  }
  return heap_.text(out);
}

Result<Value> Interpreter::evaluate_conditional(const Expr& expression) {
  LLMRUN_ASSIGN(const Value condition, evaluate(*expression.operands[0]));
  if (truthy(condition)) return evaluate(*expression.operands[1]);
  if (expression.operands.size() > 2) return evaluate(*expression.operands[2]);
  return Value::undefined("the inline 'if' was false and has no 'else'");
}

Result<Value> Interpreter::evaluate_slice(const Expr& expression) {
  LLMRUN_ASSIGN(const Value object, evaluate(*expression.operands[0]));
  Value bounds[3] = {None{}, None{}, None{}};
  for (size_t i = 0; i < 3; ++i) {
    const Expr* bound = expression.operands[i + 1];
    if (bound == nullptr) continue;
    LLMRUN_ASSIGN(bounds[i], evaluate(*bound));
  }
  return slice(heap_, object, bounds[0], bounds[1], bounds[2]);
}

Result<CallArguments> Interpreter::evaluate_arguments(const Arguments& arguments) {
  CallArguments values;
  for (const Expr* argument : arguments.positional) {
    LLMRUN_ASSIGN(Value value, evaluate(*argument));
    values.positional.push_back(std::move(value));
  }
  if (arguments.star != nullptr) {
    LLMRUN_ASSIGN(const Value list, evaluate(*arguments.star));
    LLMRUN_ASSIGN(const std::vector<Value> more, elements(heap_, list));
    values.positional.insert(values.positional.end(), more.begin(), more.end());
  }
  for (const auto& [name, argument] : arguments.named) {
    LLMRUN_ASSIGN(Value value, evaluate(*argument));
    values.named.emplace_back(name_of(name), std::move(value));
  }
  if (arguments.double_star == nullptr) return values;
  LLMRUN_ASSIGN(const Value dict, evaluate(*arguments.double_star));
  if (!dict.is_dict()) {
    return template_error("what follows '**' must be a dictionary, not {}", type_name(dict));
  }
  for (const DictObject::Entry& entry : dict.as<DictObject>().entries()) {
    LLMRUN_TRY(heap_.spend(1));
    if (!entry.key.is_string()) return template_error("names of arguments must be strings");
    values.named.emplace_back(std::string(entry.key.view()), entry.value);
  }
  return values;
}

Result<Value> Interpreter::evaluate_call(const Expr& expression) {
  const Expr& function = *expression.operands[0];
  if (function.kind == ExprKind::kAttribute) {
    // object.method(…) without making an object of the method first.
    LLMRUN_ASSIGN(const Value self, evaluate(*function.operands[0]));
    const std::string& name = name_of(function.name);
    if (const MethodEntry* entry = find_method(self, name)) {
      LLMRUN_ASSIGN(CallArguments arguments, evaluate_arguments(expression.arguments));
      return method(self, *entry, std::move(arguments));
    }
    LLMRUN_ASSIGN(const Value callee, attribute(self, name));
    LLMRUN_ASSIGN(CallArguments arguments, evaluate_arguments(expression.arguments));
    return call(callee, std::move(arguments));
  }
  LLMRUN_ASSIGN(const Value callee, evaluate(function));
  LLMRUN_ASSIGN(CallArguments arguments, evaluate_arguments(expression.arguments));
  return call(callee, std::move(arguments));
}

Result<Value> Interpreter::evaluate_filter(const Expr& expression, const Value* block_input) {
  const FilterEntry* filter = expression.filter;
  if (filter == nullptr) {
    return template_error("there is no filter named '{}'", name_of(expression.name));
  }
  Value input;
  const Expr* inner = expression.operands[0];
  if (inner == nullptr) {
    if (block_input != nullptr) input = *block_input;
  } else if (block_input != nullptr && inner->kind == ExprKind::kFilter) {
    LLMRUN_ASSIGN(input, evaluate_filter(*inner, block_input));
  } else {
    LLMRUN_ASSIGN(input, evaluate(*inner));
  }
  LLMRUN_ASSIGN(CallArguments arguments, evaluate_arguments(expression.arguments));
  LLMRUN_ASSIGN(const Bound bound, bind(filter->name, filter->parameters, std::move(arguments)));
  return filter->function(*this, input, bound);
}

Result<Value> Interpreter::evaluate_test(const Expr& expression) {
  if (expression.test == nullptr) {
    return template_error("there is no test named '{}'", name_of(expression.name));
  }
  const TestEntry& test = *expression.test;
  LLMRUN_ASSIGN(const Value input, evaluate(*expression.operands[0]));
  LLMRUN_ASSIGN(CallArguments arguments, evaluate_arguments(expression.arguments));
  LLMRUN_ASSIGN(const Bound bound, bind(test.name, test.parameters, std::move(arguments)));
  LLMRUN_ASSIGN(const bool holds, test.function(*this, input, bound));
  return Value(holds);
}

}  // namespace llmrun::chat::jinja
