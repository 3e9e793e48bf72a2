// What stands between {{ and }}: pipelines of commands, and the tokens they are read from.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/go_template/ast.h"
#include "chat/go_template/lexer.h"

namespace llmrun::chat::go_template {

class TokenReader {
 public:
  TokenReader(std::string_view source, std::vector<Token> tokens)
      : source_(source), tokens_(std::move(tokens)) {}

  [[nodiscard]] bool at_end() const { return at_ == tokens_.size(); }
  // Inside of an action there always is a next token: the lexer saw its end.
  [[nodiscard]] const Token& peek() const { return tokens_[at_]; }
  [[nodiscard]] const Token* peek_after() const {
    return at_ + 1 < tokens_.size() ? &tokens_[at_ + 1] : nullptr;
  }
  [[nodiscard]] bool next_is(Token::Kind kind) const { return !at_end() && peek().kind == kind; }
  const Token& take() { return tokens_[at_++]; }
  [[nodiscard]] const Token& last() const { return tokens_[at_ - 1]; }
  bool take_word(std::string_view word);
  bool take_punctuation(std::string_view sign);
  Result<void> close();        // }}
  Result<std::string> text();  // a text in quotes
  // At the next token, or the last one.
  tl::unexpected<Error> error(std::string message) const;

 private:
  std::string_view source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

class PipelineParser {
 public:
  explicit PipelineParser(TokenReader& reader) : reader_(reader) {}

  // Up to }} or a closing bracket, which is left.
  Result<std::shared_ptr<Pipeline>> pipeline(bool in_range);

  // The variables that are known at this place of the source.
  [[nodiscard]] size_t n_variables() const { return variables_.size(); }
  void forget_variables(size_t mark) { variables_.resize(mark); }
  std::vector<std::string> start_definition() {
    return std::exchange(variables_, std::vector<std::string>{"$"});
  }
  void end_definition(std::vector<std::string> outer) { variables_ = std::move(outer); }

 private:
  Result<void> declarations(Pipeline& result, bool in_range);
  Result<Command> command();
  Result<Operand> operand();
  Result<Operand> term();
  Result<Value> number(const std::string& text);
  Result<Operand> word(const Token& token);

  TokenReader& reader_;
  std::vector<std::string> variables_ = {"$"};
  int depth_ = 0;
};

}  // namespace llmrun::chat::go_template
