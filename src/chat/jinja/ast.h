// The syntax tree of a template. Nodes live in the Template's pools and point to each other, so a
// tree of any depth is freed without recursion.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "chat/jinja/lexer.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

// An interned identifier: an index into Template::names.
using NameId = uint32_t;

struct FilterEntry;
struct TestEntry;
struct Expr;
struct Stmt;

using Body = std::vector<const Stmt*>;

struct Arguments {
  std::vector<const Expr*> positional;
  std::vector<std::pair<NameId, const Expr*>> named;
  const Expr* star = nullptr;         // *list
  const Expr* double_star = nullptr;  // **dict
};

enum class ExprKind : uint8_t {
  kConstant,     // constant
  kName,         // name
  kList,         // operands
  kTuple,        // operands
  kDict,         // operands: key, value, key, value…
  kUnary,        // op, operands[0]
  kBinary,       // op, operands[0] and [1]
  kCompare,      // operands[0] operators[0] operands[1] operators[1] …
  kAnd,          // operands
  kOr,           // operands
  kConcat,       // operands, ~
  kConditional,  // operands: condition, then, else (may be missing)
  kAttribute,    // operands[0].name
  kSubscript,    // operands[0][operands[1]]
  kSlice,        // operands[0][operands[1]:operands[2]:operands[3]], each may be null
  kCall,         // operands[0](arguments)
  kFilter,       // operands[0] | name(arguments); operands[0] null: the body of a block
  kTest,         // operands[0] is name(arguments)
};

struct Expr {
  ExprKind kind = ExprKind::kConstant;
  Operator op = Operator::kAdd;
  NameId name = 0;
  Position at;
  Value constant;
  std::vector<const Expr*> operands;
  std::vector<Operator> operators;
  Arguments arguments;
  const FilterEntry* filter = nullptr;  // null: no such filter, an error when it is reached
  const TestEntry* test = nullptr;
};

enum class StmtKind : uint8_t {
  kText,         // constant
  kOutput,       // value
  kIf,           // branches, body is the else part
  kFor,          // target in value if condition: body, else_body
  kSet,          // target = value
  kSetBlock,     // target = body | value (a filter chain, may be null)
  kMacro,        // name(parameters): body
  kCallBlock,    // call(parameters) value: body
  kFilterBlock,  // value (a filter chain) over body
  kWith,         // targets = values: body
  kScope,        // body (generation, block)
  kDo,           // value
  kBreak,
  kContinue,
};

struct Branch {
  const Expr* condition = nullptr;
  Body body;
};

struct Parameter {
  NameId name = 0;
  const Expr* fallback = nullptr;  // the default value
};

// What a set or for assigns to.
struct Target {
  enum class Kind : uint8_t { kName, kAttribute, kTuple };
  Kind kind = Kind::kName;
  NameId name = 0;
  NameId attribute = 0;       // kAttribute: name.attribute of a namespace
  std::vector<Target> parts;  // kTuple
};

struct Stmt {
  StmtKind kind = StmtKind::kText;
  Position at;
  Value constant;
  const Expr* value = nullptr;
  const Expr* condition = nullptr;
  Target target;
  std::vector<Branch> branches;
  Body body;
  Body else_body;
  bool recursive = false;
  NameId name = 0;
  std::vector<Parameter> parameters;
  bool uses_varargs = false;  // the macro's body mentions varargs, kwargs, caller
  bool uses_kwargs = false;
  bool uses_caller = false;
  std::vector<std::pair<Target, const Expr*>> assignments;  // kWith
};

// A compiled template. Immutable once parsed; any number of renders may share it.
class Template {
 public:
  // Names that the language itself defines, at fixed places.
  static constexpr NameId kLoop = 0;
  static constexpr NameId kVarargs = 1;
  static constexpr NameId kKwargs = 2;
  static constexpr NameId kCaller = 3;

  Template() {
    for (const std::string_view name : {"loop", "varargs", "kwargs", "caller"}) intern(name);
  }

  Body body;
  std::vector<std::string> names;

  Expr& new_expr(ExprKind kind, Position at) {
    expressions_.push_back(Expr{});
    expressions_.back().kind = kind;
    expressions_.back().at = at;
    return expressions_.back();
  }
  Stmt& new_stmt(StmtKind kind, Position at) {
    statements_.push_back(Stmt{});
    statements_.back().kind = kind;
    statements_.back().at = at;
    return statements_.back();
  }
  // None when the template never mentions the name.
  std::optional<NameId> find(std::string_view name) const {
    const auto found = ids_.find(std::string(name));
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }
  NameId intern(std::string_view name) {
    const auto [found, added] =
        ids_.try_emplace(std::string(name), static_cast<NameId>(names.size()));
    if (added) names.emplace_back(name);
    return found->second;
  }

 private:
  std::deque<Expr> expressions_;
  std::deque<Stmt> statements_;
  std::unordered_map<std::string, NameId> ids_;
};

}  // namespace llmrun::chat::jinja
