// The recursive-descent parser; statements are in parser.cpp, expressions in expression_parser.cpp.
#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"
#include "chat/jinja/ast.h"

namespace llmrun::chat::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, Template& result)
      : tokens_(std::move(tokens)), template_(result) {}

  Result<void> parse();

 private:
  using ExprResult = Result<const Expr*>;

  // Nested brackets and blocks; each level costs about 12 stack frames.
  static constexpr int kMaxDepth = 150;
  class Depth {
   public:
    explicit Depth(int& depth) : depth_(depth) { ++depth_; }
    ~Depth() { --depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    bool exceeded() const { return depth_ > kMaxDepth; }

   private:
    int& depth_;
  };

  // Tokens.
  const Token& current() const { return tokens_[next_]; }
  const Token& ahead() const { return tokens_[next_ + 1 < tokens_.size() ? next_ + 1 : next_]; }
  void advance() {
    if (next_ + 1 < tokens_.size()) ++next_;
  }
  bool skip_name(std::string_view name);
  bool skip_operator(std::string_view sign);
  Result<void> expect_operator(std::string_view sign);
  Result<void> expect_name(std::string_view name);
  Result<NameId> expect_identifier();
  Result<void> expect_block_end();
  tl::unexpected<Error> unexpected(std::string_view wanted) const;
  tl::unexpected<Error> fail(Position at, std::string_view message) const;

  // Statements.
  Result<Body> parse_body(std::initializer_list<std::string_view> ends, std::string_view opener,
                          Position opened);
  Result<const Stmt*> parse_statement();
  Result<const Stmt*> parse_for();
  Result<const Stmt*> parse_if();
  Result<const Stmt*> parse_set();
  Result<const Stmt*> parse_macro();
  Result<const Stmt*> parse_call_block();
  Result<const Stmt*> parse_filter_block();
  Result<const Stmt*> parse_with();
  Result<const Stmt*> parse_scope(std::string_view name);
  Result<const Stmt*> parse_do();
  Result<const Stmt*> parse_print();
  Result<const Stmt*> parse_loop_control(StmtKind kind);
  Result<void> parse_parameters(Stmt& macro);
  Result<Target> parse_target(bool with_attribute);
  Result<Target> parse_single_target(bool with_attribute);
  Result<void> end_block(std::string_view name);

  // Expressions, loosest first.
  ExprResult parse_expression(bool with_condition = true);
  ExprResult parse_conditional();
  ExprResult parse_or();
  ExprResult parse_and();
  ExprResult parse_not();
  ExprResult parse_compare();
  ExprResult parse_sum();
  ExprResult parse_concat();
  ExprResult parse_product();
  ExprResult parse_power();
  ExprResult parse_unary(bool with_filters = true);
  ExprResult parse_primary();
  ExprResult parse_constant();
  ExprResult parse_postfix(const Expr* value);
  ExprResult parse_filters_and_tests(const Expr* value);
  ExprResult parse_subscript(const Expr* value);
  ExprResult parse_attribute(const Expr* value);
  ExprResult parse_call(const Expr* function);
  ExprResult parse_filter(const Expr* value);  // after '|'
  ExprResult parse_test(const Expr* value);    // after 'is'
  // A comma makes a tuple; `end` names the word that may follow, besides closing tags.
  ExprResult parse_tuple(bool with_condition, bool in_parentheses, std::string_view end = {});
  ExprResult parse_list();
  ExprResult parse_dict();
  Result<Arguments> parse_arguments();
  Result<std::string> parse_dotted_name();
  bool at_tuple_end(std::string_view end) const;
  const Expr* binary(Operator op, const Expr* left, const Expr* right, Position at);
  void note_use(std::string_view name);

  std::vector<Token> tokens_;
  size_t next_ = 0;
  Template& template_;
  int depth_ = 0;
  int loops_ = 0;              // for blocks around the current token, within the macro
  std::vector<Stmt*> macros_;  // macros and call blocks around the current token
};

}  // namespace llmrun::chat::jinja
