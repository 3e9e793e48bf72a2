// Statements: {% for %}, {% if %}, {% set %} and the rest.
#include "chat/jinja/parser.h"

#include <algorithm>

#include "chat/jinja/parser_state.h"

namespace llmrun::chat::jinja {
namespace {

Value constant_text(std::string text) {
  return Value(std::make_shared<const StringData>(Text(std::move(text), true), false, nullptr));
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kOutputEnd:
      return "'}}'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return "a number";
    default:
      return fmt::format("'{}'", token.text);
  }
}

}  // namespace

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  advance();
  return true;
}

bool Parser::skip_operator(std::string_view sign) {
  if (!current().is_operator(sign)) return false;
  advance();
  return true;
}

tl::unexpected<Error> Parser::fail(Position at, std::string_view message) const {
  return with_context(Error{ErrorCode::kBadModel, std::string(message), ""}, to_string(at));
}

tl::unexpected<Error> Parser::unexpected(std::string_view wanted) const {
  return fail(current().at,
              fmt::format("found {} where {} was expected", describe(current()), wanted));
}

Result<void> Parser::expect_operator(std::string_view sign) {
  if (skip_operator(sign)) return {};
  return unexpected(fmt::format("'{}'", sign));
}

Result<void> Parser::expect_name(std::string_view name) {
  if (skip_name(name)) return {};
  return unexpected(fmt::format("'{}'", name));
}

Result<NameId> Parser::expect_identifier() {
  if (current().kind != TokenKind::kName) return unexpected("a name");
  const NameId name = template_.intern(current().text);
  advance();
  return name;
}

Result<void> Parser::expect_block_end() {
  skip_operator(":");  // Python's habit is tolerated
  if (current().kind != TokenKind::kBlockEnd) return unexpected("'%}'");
  advance();
  return {};
}

Result<void> Parser::parse() {
  LLMRUN_ASSIGN(template_.body, parse_body({}, "", Position{}));
  return {};
}

// Everything up to a block that begins with one of `ends`, whose name is then the current token.
// Without `ends`: up to the end of the template.
Result<Body> Parser::parse_body(std::initializer_list<std::string_view> ends,
                                std::string_view opener, Position opened) {
  const Depth depth(depth_);
  if (depth.exceeded()) return fail(current().at, "blocks are nested too deeply");
  Body body;
  while (current().kind != TokenKind::kEnd) {
    const Token& token = current();
    if (token.kind == TokenKind::kText) {
      Stmt& text = template_.new_stmt(StmtKind::kText, token.at);
      text.constant = constant_text(token.text);
      body.push_back(&text);
      advance();
    } else if (token.kind == TokenKind::kOutputBegin) {
      Stmt& output = template_.new_stmt(StmtKind::kOutput, token.at);
      advance();
      LLMRUN_ASSIGN(output.value, parse_tuple(true, false));
      if (current().kind != TokenKind::kOutputEnd) return unexpected("'}}'");
      advance();
      body.push_back(&output);
    } else {
      advance();
      const auto ended = [this](std::string_view end) { return current().is_name(end); };
      if (std::any_of(ends.begin(), ends.end(), ended)) return body;
      LLMRUN_ASSIGN(const Stmt* statement, parse_statement());
      if (statement != nullptr) body.push_back(statement);
    }
  }
  if (ends.size() > 0) {
    return fail(opened, fmt::format("'{}' has no '{}'", opener, *(ends.end() - 1)));
  }
  return body;
}

Result<const Stmt*> Parser::parse_statement() {
  const Token& token = current();
  if (token.kind != TokenKind::kName) return unexpected("the name of a statement");
  if (token.text == "for") return parse_for();
  if (token.text == "if") return parse_if();
  if (token.text == "set") return parse_set();
  if (token.text == "macro") return parse_macro();
  if (token.text == "call") return parse_call_block();
  if (token.text == "filter") return parse_filter_block();
  if (token.text == "with") return parse_with();
  if (token.text == "do") return parse_do();
  if (token.text == "print") return parse_print();
  if (token.text == "break") return parse_loop_control(StmtKind::kBreak);
  if (token.text == "continue") return parse_loop_control(StmtKind::kContinue);
  // Marks what the model wrote, for training; when rendering it is only a scope.
  if (token.text == "generation") return parse_scope("generation");
  if (token.text == "block") return parse_scope("block");
  return fail(token.at, fmt::format("unknown statement '{}'", token.text));
}

// After the body: the name of the end (already current) and '%}'.
Result<void> Parser::end_block(std::string_view name) {
  LLMRUN_TRY(expect_name(name));
  return expect_block_end();
}

Result<const Stmt*> Parser::parse_for() {
  Stmt& loop = template_.new_stmt(StmtKind::kFor, current().at);
  advance();
  LLMRUN_ASSIGN(loop.target, parse_target(false));
  LLMRUN_TRY(expect_name("in"));
  LLMRUN_ASSIGN(loop.value, parse_tuple(false, false, "recursive"));
  if (skip_name("if")) {
    LLMRUN_ASSIGN(loop.condition, parse_expression());
  }
  loop.recursive = skip_name("recursive");
  LLMRUN_TRY(expect_block_end());
  ++loops_;
  auto body = parse_body({"else", "endfor"}, "for", loop.at);
  --loops_;
  LLMRUN_ASSIGN(loop.body, std::move(body));
  if (skip_name("else")) {
    LLMRUN_TRY(expect_block_end());
    LLMRUN_ASSIGN(loop.else_body, parse_body({"endfor"}, "for", loop.at));
  }
  LLMRUN_TRY(end_block("endfor"));
  return &loop;
}

Result<const Stmt*> Parser::parse_if() {
  Stmt& branch = template_.new_stmt(StmtKind::kIf, current().at);
  do {
    advance();  // if, elif
    Branch part;
    LLMRUN_ASSIGN(part.condition, parse_tuple(false, false));
    LLMRUN_TRY(expect_block_end());
    LLMRUN_ASSIGN(part.body, parse_body({"elif", "else", "endif"}, "if", branch.at));
    branch.branches.push_back(std::move(part));
  } while (current().is_name("elif"));
  if (skip_name("else")) {
    LLMRUN_TRY(expect_block_end());
    LLMRUN_ASSIGN(branch.body, parse_body({"endif"}, "if", branch.at));
  }
  LLMRUN_TRY(end_block("endif"));
  return &branch;
}

Result<const Stmt*> Parser::parse_set() {
  const Position at = current().at;
  advance();
  LLMRUN_ASSIGN(Target target, parse_target(true));
  if (skip_operator("=")) {
    Stmt& set = template_.new_stmt(StmtKind::kSet, at);
    set.target = std::move(target);
    LLMRUN_ASSIGN(set.value, parse_tuple(true, false));
    LLMRUN_TRY(expect_block_end());
    return &set;
  }
  Stmt& set = template_.new_stmt(StmtKind::kSetBlock, at);
  set.target = std::move(target);
  while (skip_operator("|")) {
    LLMRUN_ASSIGN(set.value, parse_filter(set.value));
  }
  LLMRUN_TRY(expect_block_end());
  LLMRUN_ASSIGN(set.body, parse_body({"endset"}, "set", at));
  LLMRUN_TRY(end_block("endset"));
  return &set;
}

Result<Target> Parser::parse_single_target(bool with_attribute) {
  const Depth depth(depth_);
  if (depth.exceeded()) return fail(current().at, "brackets are nested too deeply");
  const Position at = current().at;
  if (skip_operator("(")) {
    LLMRUN_ASSIGN(Target target, parse_target(with_attribute));
    LLMRUN_TRY(expect_operator(")"));
    return target;
  }
  static constexpr std::string_view kReserved[] = {"true", "false", "none",
                                                   "True", "False", "None"};
  for (const std::string_view word : kReserved) {
    if (current().is_name(word)) return fail(at, fmt::format("cannot assign to '{}'", word));
  }
  Target target;
  LLMRUN_ASSIGN(target.name, expect_identifier());
  if (with_attribute && skip_operator(".")) {
    target.kind = Target::Kind::kAttribute;
    LLMRUN_ASSIGN(target.attribute, expect_identifier());
  }
  return target;
}

Result<Target> Parser::parse_target(bool with_attribute) {
  LLMRUN_ASSIGN(Target first, parse_single_target(with_attribute));
  if (!current().is_operator(",")) return first;
  Target tuple;
  tuple.kind = Target::Kind::kTuple;
  tuple.parts.push_back(std::move(first));
  while (skip_operator(",")) {
    if (current().is_name("in") || current().is_operator(")") || current().is_operator("=") ||
        current().kind == TokenKind::kBlockEnd) {
      break;
    }
    LLMRUN_ASSIGN(Target next, parse_single_target(with_attribute));
    tuple.parts.push_back(std::move(next));
  }
  return tuple;
}

Result<void> Parser::parse_parameters(Stmt& macro) {
  LLMRUN_TRY(expect_operator("("));
  bool fallback = false;
  while (!skip_operator(")")) {
    if (!macro.parameters.empty()) LLMRUN_TRY(expect_operator(","));
    const Position at = current().at;
    Parameter parameter;
    LLMRUN_ASSIGN(parameter.name, expect_identifier());
    if (skip_operator("=")) {
      LLMRUN_ASSIGN(parameter.fallback, parse_expression());
      fallback = true;
    } else if (fallback) {
      return fail(at, "a parameter without a default follows one with a default");
    }
    macro.parameters.push_back(parameter);
  }
  return {};
}

Result<const Stmt*> Parser::parse_macro() {
  Stmt& macro = template_.new_stmt(StmtKind::kMacro, current().at);
  advance();
  LLMRUN_ASSIGN(macro.name, expect_identifier());
  macros_.push_back(&macro);
  LLMRUN_TRY(parse_parameters(macro));
  LLMRUN_TRY(expect_block_end());
  const int outer_loops = std::exchange(loops_, 0);
  LLMRUN_ASSIGN(macro.body, parse_body({"endmacro"}, "macro", macro.at));
  loops_ = outer_loops;
  macros_.pop_back();
  LLMRUN_TRY(expect_name("endmacro"));
  if (current().kind == TokenKind::kName) advance();  // "endmacro name"
  LLMRUN_TRY(expect_block_end());
  return &macro;
}

Result<const Stmt*> Parser::parse_call_block() {
  Stmt& call = template_.new_stmt(StmtKind::kCallBlock, current().at);
  advance();
  if (current().is_operator("(")) LLMRUN_TRY(parse_parameters(call));
  LLMRUN_ASSIGN(call.value, parse_expression());
  if (call.value->kind != ExprKind::kCall) return fail(call.at, "'call' needs a call to make");
  LLMRUN_TRY(expect_block_end());
  macros_.push_back(&call);
  const int outer_loops = std::exchange(loops_, 0);
  LLMRUN_ASSIGN(call.body, parse_body({"endcall"}, "call", call.at));
  loops_ = outer_loops;
  macros_.pop_back();
  LLMRUN_TRY(end_block("endcall"));
  return &call;
}

Result<const Stmt*> Parser::parse_filter_block() {
  Stmt& block = template_.new_stmt(StmtKind::kFilterBlock, current().at);
  advance();
  do {
    LLMRUN_ASSIGN(block.value, parse_filter(block.value));
  } while (skip_operator("|"));
  LLMRUN_TRY(expect_block_end());
  LLMRUN_ASSIGN(block.body, parse_body({"endfilter"}, "filter", block.at));
  LLMRUN_TRY(end_block("endfilter"));
  return &block;
}

Result<const Stmt*> Parser::parse_with() {
  Stmt& with = template_.new_stmt(StmtKind::kWith, current().at);
  advance();
  while (current().kind != TokenKind::kBlockEnd) {
    if (!with.assignments.empty()) LLMRUN_TRY(expect_operator(","));
    LLMRUN_ASSIGN(Target target, parse_single_target(false));
    LLMRUN_TRY(expect_operator("="));
    LLMRUN_ASSIGN(const Expr* value, parse_expression());
    with.assignments.emplace_back(std::move(target), value);
  }
  LLMRUN_TRY(expect_block_end());
  LLMRUN_ASSIGN(with.body, parse_body({"endwith"}, "with", with.at));
  LLMRUN_TRY(end_block("endwith"));
  return &with;
}

Result<const Stmt*> Parser::parse_scope(std::string_view name) {
  Stmt& scope = template_.new_stmt(StmtKind::kScope, current().at);
  advance();
  if (name == "block") LLMRUN_TRY(expect_identifier());
  LLMRUN_TRY(expect_block_end());
  const std::string end = fmt::format("end{}", name);
  LLMRUN_ASSIGN(scope.body, parse_body({end}, name, scope.at));
  LLMRUN_TRY(expect_name(end));
  if (current().kind == TokenKind::kName) advance();
  LLMRUN_TRY(expect_block_end());
  return &scope;
}

Result<const Stmt*> Parser::parse_do() {
  Stmt& statement = template_.new_stmt(StmtKind::kDo, current().at);
  advance();
  LLMRUN_ASSIGN(statement.value, parse_tuple(true, false));
  LLMRUN_TRY(expect_block_end());
  return &statement;
}

// {% print a, b %} prints one after the other.
Result<const Stmt*> Parser::parse_print() {
  const Position at = current().at;
  advance();
  Expr& all = template_.new_expr(ExprKind::kConcat, at);
  do {
    LLMRUN_ASSIGN(const Expr* part, parse_expression());
    all.operands.push_back(part);
  } while (skip_operator(","));
  LLMRUN_TRY(expect_block_end());
  Stmt& output = template_.new_stmt(StmtKind::kOutput, at);
  output.value = &all;
  return &output;
}

Result<const Stmt*> Parser::parse_loop_control(StmtKind kind) {
  const Stmt& control = template_.new_stmt(kind, current().at);
  if (loops_ == 0) {
    return fail(current().at, fmt::format("'{}' outside of a loop", current().text));
  }
  advance();
  LLMRUN_TRY(expect_block_end());
  return &control;
}

Result<std::shared_ptr<const Template>> parse_template(std::string_view source) {
  LLMRUN_ASSIGN(std::vector<Token> tokens, tokenize(source));
  auto result = std::make_shared<Template>();
  LLMRUN_TRY(Parser(std::move(tokens), *result).parse());
  return std::shared_ptr<const Template>(std::move(result));
}

}  // namespace llmrun::chat::jinja
