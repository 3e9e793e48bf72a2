// Statements: what they print goes to out_, what they define into scope_.
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"

namespace llmrun::chat::jinja {

Error Interpreter::too_deep() const {
  return template_error("the template nests more than {} evaluations", limits_.max_depth).value();
}

Error Interpreter::too_long() const {
  return template_error(
             "the template prints more than its limit of {} MiB, or more than its memory budget",
             limits_.max_output_bytes >> 20U)
      .value();
}

tl::unexpected<Error> Interpreter::placed(Error error, Position at) {
  if (error.context.empty()) error.context = to_string(at);
  return tl::unexpected<Error>(std::move(error));
}

Interpreter::Interpreter(const Template& source, Heap& heap, const TemplateLimits& limits,
                         const std::tm& now)
    : template_(source), heap_(heap), limits_(limits), now_(now), context_(source.names.size()) {}

void Interpreter::set_variable(std::string_view name, Value value) {
  if (const auto id = template_.find(name)) context_[*id] = std::move(value);
}

Result<RenderedText> Interpreter::run() {
  TextBuilder out(limits_.max_output_bytes);
  LLMRUN_ASSIGN(scope_, new_scope(nullptr));
  out_ = &out;
  LLMRUN_TRY(execute(template_.body));
  if (out.overflow()) return tl::unexpected<Error>(too_long());
  const Text text = out.take();
  RenderedText rendered;
  rendered.text = std::string(text.view());
  size_t begin = 0;
  for (const Text::Run& run : text.runs()) {
    rendered.segments.push_back({begin, run.end, run.trusted});
    begin = run.end;
  }
  if (text.runs().empty() && !text.empty()) {
    rendered.segments.push_back({0, text.size(), text.trusted()});
  }
  return rendered;
}

Result<ScopeObject*> Interpreter::new_scope(ScopeObject* parent) {
  return heap_.make<ScopeObject>(parent);
}

void Interpreter::define(NameId name, Value value) {
  for (auto& [id, old] : scope_->variables) {
    if (id == name) {
      old = std::move(value);
      return;
    }
  }
  scope_->variables.emplace_back(name, std::move(value));
}

void Interpreter::capture_scopes() {
  for (ScopeObject* scope = scope_; scope != nullptr && !scope->captured; scope = scope->parent) {
    scope->captured = true;
  }
}

void Interpreter::note_printed(const Value& value) {
  if (!value.is_dict()) return;
  for (const Object* object : watched_) printed_watched_ |= object == value.as_object();
}

Result<Interpreter::Flow> Interpreter::execute(const Body& body) {
  for (const Stmt* statement : body) {
    LLMRUN_ASSIGN(const Flow flow, execute(*statement));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_in_scope(const Body& body) {
  const Frame frame(*this);
  LLMRUN_ASSIGN(scope_, new_scope(scope_));
  return execute(body);
}

Result<Interpreter::Flow> Interpreter::execute(const Stmt& statement) {
  const DepthGuard guard(*this);
  LLMRUN_TRY(heap_.spend(1));
  if (depth_ > limits_.max_depth) {
    return placed(too_deep(), statement.at);
  }
  switch (statement.kind) {
    case StmtKind::kText:
      LLMRUN_TRY(heap_.spend_bytes(statement.constant.text().size()));
      out_->append(statement.constant.text());
      return Flow::kNext;
    case StmtKind::kOutput:
      LLMRUN_TRY(execute_output(statement));
      return Flow::kNext;
    case StmtKind::kIf:
      return execute_if(statement);
    case StmtKind::kFor:
      return execute_for(statement);
    case StmtKind::kSet:
      return execute_set(statement);
    case StmtKind::kSetBlock:
      return execute_set_block(statement);
    case StmtKind::kMacro:
      return execute_macro(statement);
    case StmtKind::kCallBlock:
      return execute_call_block(statement);
    case StmtKind::kFilterBlock:
      return execute_filter_block(statement);
    case StmtKind::kWith:
      return execute_with(statement);
    case StmtKind::kScope:
      return execute_in_scope(statement.body);
    case StmtKind::kDo:
      LLMRUN_TRY(evaluate(*statement.value));
      return Flow::kNext;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Result<void> Interpreter::execute_output(const Stmt& statement) {
  LLMRUN_ASSIGN(const Value value, evaluate(*statement.value));
  note_printed(value);
  const Result<void> written = write_string(heap_, *out_, value);
  if (!written) return placed(written.error(), statement.at);
  if (!out_->overflow()) return {};
  return placed(too_long(), statement.at);
}

Result<Interpreter::Flow> Interpreter::execute_if(const Stmt& statement) {
  for (const Branch& branch : statement.branches) {
    LLMRUN_ASSIGN(const Value condition, evaluate(*branch.condition));
    if (truthy(condition)) return execute(branch.body);
  }
  return execute(statement.body);
}

Result<void> Interpreter::assign(const Target& target, Value value) {
  switch (target.kind) {
    case Target::Kind::kName:
      define(target.name, std::move(value));
      return {};
    case Target::Kind::kAttribute: {
      Expr holder;
      holder.kind = ExprKind::kName;
      holder.name = target.name;
      LLMRUN_ASSIGN(const Value object, evaluate_name(holder));
      if (!object.is(ObjectKind::kNamespace)) {
        return template_error("cannot assign to an attribute of '{}', which is no namespace",
                              name_of(target.name));
      }
      return heap_.set(object.as<DictObject>(), name_of(target.attribute), true, std::move(value));
    }
    case Target::Kind::kTuple:
      break;
  }
  LLMRUN_ASSIGN(const std::vector<Value> parts, elements(heap_, value));
  if (parts.size() != target.parts.size()) {
    return template_error("cannot unpack {} values into {} names", parts.size(),
                          target.parts.size());
  }
  for (size_t i = 0; i < parts.size(); ++i) LLMRUN_TRY(assign(target.parts[i], parts[i]));
  return {};
}

Result<Interpreter::Flow> Interpreter::execute_set(const Stmt& statement) {
  LLMRUN_ASSIGN(Value value, evaluate(*statement.value));
  const Result<void> assigned = assign(statement.target, std::move(value));
  if (!assigned) return placed(assigned.error(), statement.at);
  return Flow::kNext;
}

Result<Value> Interpreter::capture(const Body& body) {
  const Frame frame(*this);
  TextBuilder out = heap_.builder();
  out_ = &out;
  LLMRUN_TRY(execute_in_scope(body));
  return heap_.text(out);
}

Result<Interpreter::Flow> Interpreter::execute_set_block(const Stmt& statement) {
  LLMRUN_ASSIGN(Value value, capture(statement.body));
  if (statement.value != nullptr) {
    Result<Value> filtered = evaluate_filter(*statement.value, &value);
    if (!filtered) return placed(filtered.error(), statement.at);
    value = std::move(*filtered);
  }
  const Result<void> assigned = assign(statement.target, std::move(value));
  if (!assigned) return placed(assigned.error(), statement.at);
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_macro(const Stmt& statement) {
  capture_scopes();
  LLMRUN_ASSIGN(MacroObject * macro, heap_.make<MacroObject>(statement, scope_));
  define(statement.name, Value(macro));
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_call_block(const Stmt& statement) {
  capture_scopes();
  LLMRUN_ASSIGN(MacroObject * caller, heap_.make<MacroObject>(statement, scope_));
  const Expr& expression = *statement.value;
  LLMRUN_ASSIGN(const Value callee, evaluate(*expression.operands[0]));
  LLMRUN_ASSIGN(CallArguments arguments, evaluate_arguments(expression.arguments));
  arguments.named.emplace_back("caller", Value(caller));
  Result<Value> value = call(callee, std::move(arguments));
  if (!value) return placed(value.error(), statement.at);
  const Result<void> written = write_string(heap_, *out_, *value);
  if (!written) return placed(written.error(), statement.at);
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_filter_block(const Stmt& statement) {
  LLMRUN_ASSIGN(const Value input, capture(statement.body));
  Result<Value> value = evaluate_filter(*statement.value, &input);
  if (!value) return placed(value.error(), statement.at);
  const Result<void> written = write_string(heap_, *out_, *value);
  if (!written) return placed(written.error(), statement.at);
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::execute_with(const Stmt& statement) {
  const Frame frame(*this);
  std::vector<Value> values;  // all of them see the outer variables only
  for (const auto& [target, expression] : statement.assignments) {
    LLMRUN_ASSIGN(Value value, evaluate(*expression));
    values.push_back(std::move(value));
  }
  LLMRUN_ASSIGN(scope_, new_scope(scope_));
  for (size_t i = 0; i < values.size(); ++i) {
    const Result<void> assigned = assign(statement.assignments[i].first, std::move(values[i]));
    if (!assigned) return placed(assigned.error(), statement.at);
  }
  return execute(statement.body);
}

}  // namespace llmrun::chat::jinja
