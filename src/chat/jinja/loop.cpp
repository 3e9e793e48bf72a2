// {% for %}: iteration, the `loop` variable, recursion.
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {

Result<Cursor> Cursor::over(const Value& value) {
  const bool iterable = value.is_undefined() || value.is_string() || value.is_sequence() ||
                        value.is_dict() || value.is(ObjectKind::kRange);
  if (!iterable) return template_error("a value of type '{}' is not iterable", type_name(value));
  Cursor cursor;
  cursor.value_ = value;
  if (value.is_dict()) cursor.size_at_start_ = value.as<DictObject>().size();
  return cursor;
}

Result<std::optional<Value>> Cursor::next(Heap& heap) {
  const std::optional<Value> end;
  if (value_.is_undefined()) return end;
  if (value_.is_string()) {
    const std::string_view text = value_.view();
    if (at_ >= text.size()) return end;
    const size_t bytes = decode_at(text, at_).bytes;
    LLMRUN_ASSIGN(Value character, heap.part(value_, text.substr(at_, bytes)));
    at_ += bytes;
    return std::optional<Value>(std::move(character));
  }
  if (value_.is(ObjectKind::kRange)) {
    const auto& range = value_.as<RangeObject>();
    if (at_ >= range.size()) return end;
    return std::optional<Value>(range.at(at_++));
  }
  if (value_.is_dict()) {
    const auto& dict = value_.as<DictObject>();
    if (dict.size() != size_at_start_) {
      return template_error("a dictionary changed its size while a loop walked it");
    }
    if (at_ >= dict.size()) return end;
    return std::optional<Value>(dict.entries()[at_++].key);
  }
  auto& list = value_.as<ListObject>();
  if (list.kind == ObjectKind::kIterator) {
    if (list.consumed >= list.items.size()) return end;
    return std::optional<Value>(list.items[list.consumed++]);
  }
  if (at_ >= list.items.size()) return end;
  return std::optional<Value>(list.items[at_++]);
}

std::optional<int64_t> Cursor::total() const {
  const Result<int64_t> size = length(value_);
  if (!size) return std::nullopt;
  return *size;
}

// Whether the loop's own `if` lets the item through.
Result<bool> Interpreter::passes(LoopObject& loop, const Value& item) {
  if (loop.node.condition == nullptr) return true;
  const Frame frame(*this);
  LLMRUN_ASSIGN(scope_, new_scope(loop.outer));
  LLMRUN_TRY(assign(loop.node.target, item));
  LLMRUN_ASSIGN(const Value condition, evaluate(*loop.node.condition));
  return truthy(condition);
}

// The next item that passes, from the source.
Result<std::optional<Value>> Interpreter::pull(LoopObject& loop) {
  while (true) {
    LLMRUN_TRY(heap_.spend(1));
    LLMRUN_ASSIGN(std::optional<Value> item, loop.cursor.next(heap_));
    if (!item) return item;
    LLMRUN_ASSIGN(const bool wanted, passes(loop, *item));
    if (wanted) return item;
  }
}

// Makes sure the item after the current one is known; false at the end.
Result<bool> Interpreter::peek(LoopObject& loop) {
  if (!loop.ahead.empty()) return true;
  LLMRUN_ASSIGN(std::optional<Value> item, pull(loop));
  if (!item) return false;
  loop.ahead.push_back(std::move(*item));
  return true;
}

Result<int64_t> Interpreter::loop_length(LoopObject& loop) {
  if (loop.node.condition == nullptr) {
    if (const auto total = loop.cursor.total()) return *total;
  }
  while (true) {
    LLMRUN_ASSIGN(std::optional<Value> item, pull(loop));
    if (!item) break;
    LLMRUN_TRY(heap_.book(sizeof(Value)));
    loop.ahead.push_back(std::move(*item));
  }
  return loop.index0 + 1 + static_cast<int64_t>(loop.ahead.size());
}

Result<Interpreter::Flow> Interpreter::execute_for(const Stmt& statement) {
  LLMRUN_ASSIGN(const Value iterable, evaluate(*statement.value));
  return run_loop(statement, iterable, scope_, 0);
}

Result<Interpreter::Flow> Interpreter::run_loop(const Stmt& statement, const Value& iterable,
                                                ScopeObject* outer, int64_t depth0) {
  Result<Cursor> cursor = Cursor::over(iterable);
  if (!cursor) return placed(cursor.error(), statement.value->at);
  LLMRUN_ASSIGN(LoopObject * loop,
                heap_.make<LoopObject>(statement, outer, std::move(*cursor), depth0));
  const Frame frame(*this);
  ScopeObject* body_scope = nullptr;
  while (true) {
    std::optional<Value> item;
    if (!loop->ahead.empty()) {
      item = std::move(loop->ahead.front());
      loop->ahead.pop_front();
    } else {
      scope_ = outer;
      LLMRUN_ASSIGN(item, pull(*loop));
    }
    if (!item) break;
    scope_ = outer;
    LLMRUN_ASSIGN(const Flow flow, run_loop_body(*loop, body_scope, std::move(*item)));
    if (flow == Flow::kBreak) break;
  }
  scope_ = outer;
  if (loop->index0 >= 0) return Flow::kNext;
  return execute_in_scope(statement.else_body);
}

// One round. `scope` is the scope of the round before, used again when nobody kept it.
Result<Interpreter::Flow> Interpreter::run_loop_body(LoopObject& loop, ScopeObject*& scope,
                                                     Value item) {
  if (scope == nullptr || scope->captured) {
    LLMRUN_ASSIGN(scope, new_scope(loop.outer));
  }
  scope->variables.clear();
  scope_ = scope;
  loop.index0 += 1;
  loop.previous = std::move(loop.current);
  loop.current = item;
  define(Template::kLoop, Value(&loop));
  const Result<void> assigned = assign(loop.node.target, std::move(item));
  if (!assigned) return placed(assigned.error(), loop.node.at);
  return execute(loop.node.body);
}

// loop.NAME; none when there is no such attribute (cycle and changed are methods).
Result<std::optional<Value>> Interpreter::loop_attribute(LoopObject& loop, std::string_view name) {
  using Found = std::optional<Value>;
  if (name == "index") return Found(loop.index0 + 1);
  if (name == "index0") return Found(loop.index0);
  if (name == "first") return Found(loop.index0 == 0);
  if (name == "depth") return Found(loop.depth0 + 1);
  if (name == "depth0") return Found(loop.depth0);
  if (name == "last") {
    LLMRUN_ASSIGN(const bool more, peek(loop));
    return Found(!more);
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    LLMRUN_ASSIGN(const int64_t size, loop_length(loop));
    if (name == "length") return Found(size);
    return Found(size - loop.index0 - (name == "revindex" ? 0 : 1));
  }
  if (name == "previtem") {
    return Found(loop.previous ? *loop.previous : Value::undefined("there is no previous item"));
  }
  if (name == "nextitem") {
    LLMRUN_ASSIGN(const bool more, peek(loop));
    return Found(more ? loop.ahead.front() : Value::undefined("there is no next item"));
  }
  return Found();
}

// loop(items) in a recursive loop: the same body over other items, one level deeper.
Result<Value> Interpreter::call_loop(LoopObject& loop, const CallArguments& arguments) {
  if (!loop.node.recursive) {
    return template_error("only a loop marked 'recursive' can be called");
  }
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    return template_error("loop() takes what to iterate over, and nothing else");
  }
  const Frame frame(*this);
  const DepthGuard guard(*this);
  TextBuilder out = heap_.builder();
  out_ = &out;
  LLMRUN_TRY(run_loop(loop.node, arguments.positional[0], loop.outer, loop.depth0 + 1));
  return heap_.text(out);
}

}  // namespace llmrun::chat::jinja
