// Runs a parsed template.
#pragma once

#include <ctime>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "chat/chat_template.h"
#include "chat/jinja/ast.h"
#include "chat/jinja/builtins.h"
#include "chat/jinja/heap.h"

namespace llmrun::chat::jinja {

// The variables of one block; lookups go on in the parent.
struct ScopeObject : Object {
  explicit ScopeObject(ScopeObject* outer) : Object(ObjectKind::kScope), parent(outer) {}
  ScopeObject* parent;
  std::vector<std::pair<NameId, Value>> variables;
  bool captured = false;  // a macro remembers it: a loop must not use it again
};

struct MacroObject : Object {
  MacroObject(const Stmt& macro, ScopeObject* scope)
      : Object(ObjectKind::kMacro), node(macro), closure(scope) {}
  const Stmt& node;
  ScopeObject* closure;
};

// Walks a value one element at a time, so that a loop over a huge range costs nothing up front
// and one over a list sees what is appended meanwhile.
class Cursor {
 public:
  static Result<Cursor> over(const Value& value);
  // The next element, or none at the end.
  Result<std::optional<Value>> next(Heap& heap);
  // How many elements there are in all; none for a generator.
  std::optional<int64_t> total() const;

 private:
  Value value_;
  uint64_t at_ = 0;
  size_t size_at_start_ = 0;
};

struct LoopObject : Object {
  LoopObject(const Stmt& statement, ScopeObject* scope, Cursor source, int64_t level)
      : Object(ObjectKind::kLoop),
        node(statement),
        outer(scope),
        cursor(std::move(source)),
        depth0(level) {}
  const Stmt& node;
  ScopeObject* outer;
  Cursor cursor;
  std::deque<Value> ahead;  // taken from the cursor, not visited yet
  std::optional<Value> previous;
  std::optional<Value> current;
  std::optional<Value> changed;  // what loop.changed() saw last
  int64_t index0 = -1;
  int64_t depth0;
};

class Interpreter {
 public:
  Interpreter(const Template& source, Heap& heap, const TemplateLimits& limits, const std::tm& now);

  // Gives the template a variable. Names it never mentions cost nothing.
  void set_variable(std::string_view name, Value value);
  Result<RenderedText> run();

  // For the builtins:
  Heap& heap() { return heap_; }
  const std::tm& now() const { return now_; }
  Result<Value> call(const Value& callee, CallArguments arguments);
  // object.name, where methods come before items.
  Result<Value> attribute(const Value& object, std::string_view name);
  // object[key], where items come before methods.
  Result<Value> item(const Value& object, const Value& key);
  Result<Value> apply_filter(std::string_view name, const Value& input, CallArguments arguments);
  Result<bool> apply_test(std::string_view name, const Value& input, CallArguments arguments);
  Result<int64_t> loop_length(LoopObject& loop);
  // An arguments dictionary was printed as Python would print it, which no model reads: the
  // template wants the arguments as text (see ChatTemplate::render).
  void watch(const Object* object) { watched_.push_back(object); }
  bool printed_watched() const { return printed_watched_; }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  class DepthGuard {
   public:
    explicit DepthGuard(Interpreter& interpreter) : depth_(interpreter.depth_) { ++depth_; }
    ~DepthGuard() { --depth_; }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;

   private:
    uint32_t& depth_;
  };
  // Puts the scope and the output back where they were.
  class Frame {
   public:
    explicit Frame(Interpreter& interpreter)
        : interpreter_(interpreter), scope_(interpreter.scope_), out_(interpreter.out_) {}
    ~Frame() {
      interpreter_.scope_ = scope_;
      interpreter_.out_ = out_;
    }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

   private:
    Interpreter& interpreter_;
    ScopeObject* scope_;
    TextBuilder* out_;
  };

  // Statements (execute.cpp).
  Result<Flow> execute(const Body& body);
  Result<Flow> execute(const Stmt& statement);
  Result<Flow> execute_in_scope(const Body& body);
  Result<void> execute_output(const Stmt& statement);
  Result<Flow> execute_if(const Stmt& statement);
  Result<Flow> execute_for(const Stmt& statement);
  Result<Flow> execute_set(const Stmt& statement);
  Result<Flow> execute_set_block(const Stmt& statement);
  Result<Flow> execute_macro(const Stmt& statement);
  Result<Flow> execute_call_block(const Stmt& statement);
  Result<Flow> execute_filter_block(const Stmt& statement);
  Result<Flow> execute_with(const Stmt& statement);
  Result<void> assign(const Target& target, Value value);
  // What the body prints, as a value; in a scope of its own.
  Result<Value> capture(const Body& body);

  // Loops (loop.cpp).
  Result<Flow> run_loop(const Stmt& statement, const Value& iterable, ScopeObject* outer,
                        int64_t depth0);
  Result<Flow> run_loop_body(LoopObject& loop, ScopeObject*& scope, Value item);
  Result<std::optional<Value>> pull(LoopObject& loop);
  Result<bool> passes(LoopObject& loop, const Value& item);
  Result<bool> peek(LoopObject& loop);
  Result<std::optional<Value>> loop_attribute(LoopObject& loop, std::string_view name);
  Result<Value> call_loop(LoopObject& loop, const CallArguments& arguments);

  // Expressions (evaluate.cpp).
  Result<Value> evaluate(const Expr& expression);
  Result<Value> evaluate_kind(const Expr& expression);
  Result<Value> evaluate_name(const Expr& expression);
  Result<Value> evaluate_list(const Expr& expression);
  Result<Value> evaluate_dict(const Expr& expression);
  Result<Value> evaluate_unary(const Expr& expression);
  Result<Value> evaluate_binary(const Expr& expression);
  Result<Value> evaluate_compare(const Expr& expression);
  Result<Value> evaluate_logic(const Expr& expression);
  Result<Value> evaluate_concat(const Expr& expression);
  Result<Value> evaluate_conditional(const Expr& expression);
  Result<Value> evaluate_slice(const Expr& expression);
  Result<Value> evaluate_call(const Expr& expression);
  Result<Value> evaluate_filter(const Expr& expression, const Value* block_input);
  Result<Value> evaluate_test(const Expr& expression);
  Result<CallArguments> evaluate_arguments(const Arguments& arguments);

  // Calls (call.cpp).
  Result<Value> call_macro(const MacroObject& macro, CallArguments arguments);
  Result<void> bind_macro(const MacroObject& macro, CallArguments& arguments);
  Result<void> bind_macro_rest(const MacroObject& macro, CallArguments& arguments, size_t used);
  Result<Value> method(const Value& self, const MethodEntry& entry, CallArguments arguments);

  Error too_deep() const;
  Error too_long() const;
  // The error with its place, unless it has one already.
  static tl::unexpected<Error> placed(Error error, Position at);

  Result<ScopeObject*> new_scope(ScopeObject* parent);
  void define(NameId name, Value value);
  void capture_scopes();
  void note_printed(const Value& value);
  const std::string& name_of(NameId id) const { return template_.names[id]; }

  const Template& template_;
  Heap& heap_;
  const TemplateLimits& limits_;
  std::tm now_;
  uint32_t depth_ = 0;
  ScopeObject* scope_ = nullptr;
  TextBuilder* out_ = nullptr;
  std::vector<Value> context_;  // by NameId; undefined: not given
  std::vector<const Object*> watched_;
  bool printed_watched_ = false;
};

}  // namespace llmrun::chat::jinja
