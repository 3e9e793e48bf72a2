// Expressions, one function per level of precedence, as in Jinja2's grammar.
#include <algorithm>

#include "chat/jinja/builtins.h"
#include "chat/jinja/parser_state.h"

namespace llmrun::chat::jinja {
namespace {

struct Sign {
  std::string_view text;
  Operator op;
};

constexpr Sign kComparisons[] = {
    {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
    {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual},
};
constexpr Sign kSums[] = {{"+", Operator::kAdd}, {"-", Operator::kSubtract}};
constexpr Sign kProducts[] = {{"*", Operator::kMultiply},
                              {"/", Operator::kDivide},
                              {"//", Operator::kFloorDivide},
                              {"%", Operator::kModulo}};

template <size_t N>
const Sign* find_sign(const Sign (&signs)[N], const Token& token) {
  for (const Sign& sign : signs) {
    if (token.is_operator(sign.text)) return &sign;
  }
  return nullptr;
}

}  // namespace

const Expr* Parser::binary(Operator op, const Expr* left, const Expr* right, Position at) {
  Expr& node = template_.new_expr(ExprKind::kBinary, at);
  node.op = op;
  node.operands = {left, right};
  return &node;
}

Parser::ExprResult Parser::parse_expression(bool with_condition) {
  const Depth depth(depth_);
  if (depth.exceeded()) return fail(current().at, "brackets are nested too deeply");
  return with_condition ? parse_conditional() : parse_or();
}

Parser::ExprResult Parser::parse_conditional() {
  LLMRUN_ASSIGN(const Expr* value, parse_or());
  while (current().is_name("if")) {
    Expr& node = template_.new_expr(ExprKind::kConditional, current().at);
    advance();
    LLMRUN_ASSIGN(const Expr* condition, parse_or());
    node.operands = {condition, value};
    if (skip_name("else")) {
      LLMRUN_ASSIGN(const Expr* otherwise, parse_expression());
      node.operands.push_back(otherwise);
    }
    value = &node;
  }
  return value;
}

Parser::ExprResult Parser::parse_or() {
  LLMRUN_ASSIGN(const Expr* first, parse_and());
  if (!current().is_name("or")) return first;
  Expr& node = template_.new_expr(ExprKind::kOr, current().at);
  node.operands.push_back(first);
  while (skip_name("or")) {
    LLMRUN_ASSIGN(const Expr* next, parse_and());
    node.operands.push_back(next);
  }
  return &node;
}

Parser::ExprResult Parser::parse_and() {
  LLMRUN_ASSIGN(const Expr* first, parse_not());
  if (!current().is_name("and")) return first;
  Expr& node = template_.new_expr(ExprKind::kAnd, current().at);
  node.operands.push_back(first);
  while (skip_name("and")) {
    LLMRUN_ASSIGN(const Expr* next, parse_not());
    node.operands.push_back(next);
  }
  return &node;
}

Parser::ExprResult Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Depth depth(depth_);
  if (depth.exceeded()) return fail(current().at, "expressions are nested too deeply");
  Expr& node = template_.new_expr(ExprKind::kUnary, current().at);
  node.op = Operator::kNot;
  advance();
  LLMRUN_ASSIGN(const Expr* value, parse_not());
  node.operands.push_back(value);
  return &node;
}

Parser::ExprResult Parser::parse_compare() {
  const Position at = current().at;
  LLMRUN_ASSIGN(const Expr* first, parse_sum());
  Expr* node = nullptr;
  while (true) {
    Operator op = Operator::kIn;
    if (const Sign* sign = find_sign(kComparisons, current())) {
      op = sign->op;
      advance();
    } else if (skip_name("in")) {
      op = Operator::kIn;
    } else if (current().is_name("not") && ahead().is_name("in")) {
      op = Operator::kNotIn;
      advance();
      advance();
    } else {
      break;
    }
    if (node == nullptr) {
      node = &template_.new_expr(ExprKind::kCompare, at);
      node->operands.push_back(first);
    }
    LLMRUN_ASSIGN(const Expr* next, parse_sum());
    node->operators.push_back(op);
    node->operands.push_back(next);
  }
  return node != nullptr ? node : first;
}

Parser::ExprResult Parser::parse_sum() {
  LLMRUN_ASSIGN(const Expr* left, parse_concat());
  while (const Sign* sign = find_sign(kSums, current())) {
    const Position at = current().at;
    advance();
    LLMRUN_ASSIGN(const Expr* right, parse_concat());
    left = binary(sign->op, left, right, at);
  }
  return left;
}

Parser::ExprResult Parser::parse_concat() {
  LLMRUN_ASSIGN(const Expr* first, parse_product());
  if (!current().is_operator("~")) return first;
  Expr& node = template_.new_expr(ExprKind::kConcat, current().at);
  node.operands.push_back(first);
  while (skip_operator("~")) {
    LLMRUN_ASSIGN(const Expr* next, parse_product());
    node.operands.push_back(next);
  }
  return &node;
}

Parser::ExprResult Parser::parse_product() {
  LLMRUN_ASSIGN(const Expr* left, parse_power());
  while (const Sign* sign = find_sign(kProducts, current())) {
    const Position at = current().at;
    advance();
    LLMRUN_ASSIGN(const Expr* right, parse_power());
    left = binary(sign->op, left, right, at);
  }
  return left;
}

// Left-associative, unlike Python's: Jinja2 computes 2**3**2 as 64.
Parser::ExprResult Parser::parse_power() {
  LLMRUN_ASSIGN(const Expr* left, parse_unary());
  while (current().is_operator("**")) {
    const Position at = current().at;
    advance();
    LLMRUN_ASSIGN(const Expr* right, parse_unary());
    left = binary(Operator::kPower, left, right, at);
  }
  return left;
}

Parser::ExprResult Parser::parse_unary(bool with_filters) {
  const Depth depth(depth_);
  if (depth.exceeded()) return fail(current().at, "expressions are nested too deeply");
  const Expr* value = nullptr;
  const bool minus = current().is_operator("-");
  if (minus || current().is_operator("+")) {
    Expr& node = template_.new_expr(ExprKind::kUnary, current().at);
    node.op = minus ? Operator::kNegate : Operator::kPositive;
    advance();
    LLMRUN_ASSIGN(const Expr* operand, parse_unary(false));
    node.operands.push_back(operand);
    value = &node;
  } else {
    LLMRUN_ASSIGN(value, parse_primary());
  }
  LLMRUN_ASSIGN(value, parse_postfix(value));
  if (!with_filters) return value;
  return parse_filters_and_tests(value);
}

Parser::ExprResult Parser::parse_primary() {
  if (current().is_operator("(")) {
    advance();
    LLMRUN_ASSIGN(const Expr* value, parse_tuple(true, true));
    LLMRUN_TRY(expect_operator(")"));
    return value;
  }
  if (current().is_operator("[")) return parse_list();
  if (current().is_operator("{")) return parse_dict();
  return parse_constant();
}

Parser::ExprResult Parser::parse_constant() {
  const Token& token = current();
  Expr& node = template_.new_expr(ExprKind::kConstant, token.at);
  switch (token.kind) {
    case TokenKind::kName:
      if (token.text == "true" || token.text == "True") {
        node.constant = Value(true);
      } else if (token.text == "false" || token.text == "False") {
        node.constant = Value(false);
      } else if (token.text == "none" || token.text == "None") {
        node.constant = Value(None{});
      } else {
        node.kind = ExprKind::kName;
        node.name = template_.intern(token.text);
        note_use(token.text);
      }
      advance();
      return &node;
    case TokenKind::kInteger:
      node.constant = Value(token.integer);
      advance();
      return &node;
    case TokenKind::kFloat:
      node.constant = Value(token.real);
      advance();
      return &node;
    case TokenKind::kString: {
      std::string text;
      for (; current().kind == TokenKind::kString; advance()) text += current().text;
      node.constant =
          Value(std::make_shared<const StringData>(Text(std::move(text), true), false, nullptr));
      return &node;
    }
    default:
      return unexpected("an expression");
  }
}

void Parser::note_use(std::string_view name) {
  for (Stmt* macro : macros_) {
    if (name == "varargs") macro->uses_varargs = true;
    if (name == "kwargs") macro->uses_kwargs = true;
    if (name == "caller") macro->uses_caller = true;
  }
}

bool Parser::at_tuple_end(std::string_view end) const {
  return current().kind == TokenKind::kOutputEnd || current().kind == TokenKind::kBlockEnd ||
         current().is_operator(")") || (!end.empty() && current().is_name(end));
}

Parser::ExprResult Parser::parse_tuple(bool with_condition, bool in_parentheses,
                                       std::string_view end) {
  const Position at = current().at;
  std::vector<const Expr*> items;
  bool is_tuple = false;
  while (!at_tuple_end(end)) {
    LLMRUN_ASSIGN(const Expr* item, parse_expression(with_condition));
    items.push_back(item);
    if (!skip_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return items.front();
    if (!in_parentheses) return unexpected("an expression");
  }
  Expr& node = template_.new_expr(ExprKind::kTuple, at);
  node.operands = std::move(items);
  return &node;
}

Parser::ExprResult Parser::parse_list() {
  Expr& node = template_.new_expr(ExprKind::kList, current().at);
  advance();
  while (!current().is_operator("]")) {
    LLMRUN_ASSIGN(const Expr* item, parse_expression());
    node.operands.push_back(item);
    if (!skip_operator(",")) break;
  }
  LLMRUN_TRY(expect_operator("]"));
  return &node;
}

Parser::ExprResult Parser::parse_dict() {
  Expr& node = template_.new_expr(ExprKind::kDict, current().at);
  advance();
  while (!current().is_operator("}")) {
    LLMRUN_ASSIGN(const Expr* key, parse_expression());
    LLMRUN_TRY(expect_operator(":"));
    LLMRUN_ASSIGN(const Expr* value, parse_expression());
    node.operands.push_back(key);
    node.operands.push_back(value);
    if (!skip_operator(",")) break;
  }
  LLMRUN_TRY(expect_operator("}"));
  return &node;
}

Parser::ExprResult Parser::parse_postfix(const Expr* value) {
  while (true) {
    if (current().is_operator(".")) {
      LLMRUN_ASSIGN(value, parse_attribute(value));
    } else if (current().is_operator("[")) {
      LLMRUN_ASSIGN(value, parse_subscript(value));
    } else if (current().is_operator("(")) {
      LLMRUN_ASSIGN(value, parse_call(value));
    } else {
      return value;
    }
  }
}

Parser::ExprResult Parser::parse_filters_and_tests(const Expr* value) {
  while (true) {
    if (skip_operator("|")) {
      LLMRUN_ASSIGN(value, parse_filter(value));
    } else if (current().is_name("is")) {
      advance();
      LLMRUN_ASSIGN(value, parse_test(value));
    } else if (current().is_operator("(")) {
      LLMRUN_ASSIGN(value, parse_call(value));
    } else {
      return value;
    }
  }
}

Parser::ExprResult Parser::parse_attribute(const Expr* value) {
  const Position at = current().at;
  advance();  // '.'
  const Token& token = current();
  if (token.kind == TokenKind::kName) {
    Expr& node = template_.new_expr(ExprKind::kAttribute, at);
    node.name = template_.intern(token.text);
    node.operands.push_back(value);
    advance();
    return &node;
  }
  if (token.kind != TokenKind::kInteger) return unexpected("the name of an attribute");
  Expr& index = template_.new_expr(ExprKind::kConstant, token.at);
  index.constant = Value(token.integer);
  Expr& node = template_.new_expr(ExprKind::kSubscript, at);
  node.operands = {value, &index};
  advance();
  return &node;
}

Parser::ExprResult Parser::parse_subscript(const Expr* value) {
  Expr& node = template_.new_expr(ExprKind::kSubscript, current().at);
  advance();  // '['
  const Expr* bounds[3] = {nullptr, nullptr, nullptr};
  size_t bound = 0;
  bool sliced = false;
  while (!current().is_operator("]")) {
    if (skip_operator(":")) {
      sliced = true;
      if (++bound > 2) return unexpected("']'");
      continue;
    }
    if (bounds[bound] != nullptr) return unexpected("']'");
    LLMRUN_ASSIGN(bounds[bound], parse_expression());
    if (!sliced && current().is_operator(",")) {  // x[a, b]: the index is a tuple
      Expr& tuple = template_.new_expr(ExprKind::kTuple, node.at);
      tuple.operands.push_back(bounds[0]);
      while (skip_operator(",") && !current().is_operator("]")) {
        LLMRUN_ASSIGN(const Expr* item, parse_expression());
        tuple.operands.push_back(item);
      }
      bounds[0] = &tuple;
    }
  }
  if (!sliced && bounds[0] == nullptr) return unexpected("an index");
  advance();  // ']'
  if (sliced) {
    node.kind = ExprKind::kSlice;
    node.operands = {value, bounds[0], bounds[1], bounds[2]};
  } else {
    node.operands = {value, bounds[0]};
  }
  return &node;
}

Parser::ExprResult Parser::parse_call(const Expr* function) {
  Expr& node = template_.new_expr(ExprKind::kCall, current().at);
  LLMRUN_ASSIGN(node.arguments, parse_arguments());
  node.operands.push_back(function);
  return &node;
}

Result<Arguments> Parser::parse_arguments() {
  Arguments arguments;
  LLMRUN_TRY(expect_operator("("));
  while (!current().is_operator(")")) {
    const Position at = current().at;
    const bool after_named =
        !arguments.named.empty() || arguments.star != nullptr || arguments.double_star != nullptr;
    if (skip_operator("*")) {
      if (arguments.star != nullptr) return fail(at, "a second '*' in one call");
      LLMRUN_ASSIGN(arguments.star, parse_expression());
    } else if (skip_operator("**")) {
      if (arguments.double_star != nullptr) return fail(at, "a second '**' in one call");
      LLMRUN_ASSIGN(arguments.double_star, parse_expression());
    } else if (current().kind == TokenKind::kName && ahead().is_operator("=")) {
      LLMRUN_ASSIGN(const NameId name, expect_identifier());
      advance();  // '='
      LLMRUN_ASSIGN(const Expr* value, parse_expression());
      arguments.named.emplace_back(name, value);
    } else {
      if (after_named) return fail(at, "a positional argument follows a named one");
      LLMRUN_ASSIGN(const Expr* value, parse_expression());
      arguments.positional.push_back(value);
    }
    if (!skip_operator(",")) break;
  }
  LLMRUN_TRY(expect_operator(")"));
  return arguments;
}

Result<std::string> Parser::parse_dotted_name() {
  if (current().kind != TokenKind::kName) return unexpected("a name");
  std::string name = current().text;
  advance();
  while (skip_operator(".")) {
    if (current().kind != TokenKind::kName) return unexpected("a name");
    name += '.';
    name += current().text;
    advance();
  }
  return name;
}

Parser::ExprResult Parser::parse_filter(const Expr* value) {
  Expr& node = template_.new_expr(ExprKind::kFilter, current().at);
  LLMRUN_ASSIGN(const std::string name, parse_dotted_name());
  node.name = template_.intern(name);
  node.filter = find_filter(name);
  node.operands.push_back(value);
  if (current().is_operator("(")) {
    LLMRUN_ASSIGN(node.arguments, parse_arguments());
  }
  return &node;
}

Parser::ExprResult Parser::parse_test(const Expr* value) {
  const Position at = current().at;
  const bool negated = skip_name("not");
  Expr& node = template_.new_expr(ExprKind::kTest, at);
  LLMRUN_ASSIGN(const std::string name, parse_dotted_name());
  node.name = template_.intern(name);
  node.test = find_test(name);
  node.operands.push_back(value);
  const Token& token = current();
  const bool literal = token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
                       token.kind == TokenKind::kInteger || token.kind == TokenKind::kFloat ||
                       token.is_operator("[") || token.is_operator("{");
  const bool keyword = token.is_name("else") || token.is_name("or") || token.is_name("and");
  // "x is defined if …": Jinja2 would read `if` as the test's argument and fail; nobody means that.
  const bool statement_word = token.is_name("if") || token.is_name("recursive");
  if (token.is_operator("(")) {
    LLMRUN_ASSIGN(node.arguments, parse_arguments());
  } else if (literal && !keyword && !statement_word) {
    if (token.is_name("is")) return fail(token.at, "tests cannot be chained with 'is'");
    LLMRUN_ASSIGN(const Expr* primary, parse_primary());
    LLMRUN_ASSIGN(const Expr* argument, parse_postfix(primary));
    node.arguments.positional.push_back(argument);
  }
  if (!negated) return &node;
  Expr& inverse = template_.new_expr(ExprKind::kUnary, at);
  inverse.op = Operator::kNot;
  inverse.operands.push_back(&node);
  return &inverse;
}

}  // namespace llmrun::chat::jinja
