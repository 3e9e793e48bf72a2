// Pipelines of Go templates: declarations, commands, operands, constants.
#include "chat/go_template/pipeline_parser.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "chat/go_template/functions.h"

namespace llmrun::chat::go_template {
namespace {

constexpr int kMaxDepth = 100;  // of brackets

}  // namespace

bool TokenReader::take_word(std::string_view word) {
  if (at_end() || !peek().is(Token::Kind::kWord, word)) return false;
  ++at_;
  return true;
}

bool TokenReader::take_punctuation(std::string_view sign) {
  if (at_end() || !peek().is_punctuation(sign)) return false;
  ++at_;
  return true;
}

Result<void> TokenReader::close() {
  if (next_is(Token::Kind::kClose)) {
    ++at_;
    return {};
  }
  return error("this is not expected before }}");
}

Result<std::string> TokenReader::text() {
  if (next_is(Token::Kind::kString)) return take().text;
  return error("a name in quotes is expected");
}

tl::unexpected<Error> TokenReader::error(std::string message) const {
  const size_t offset = at_end() ? source_.size() : peek().offset;
  return error_at(source_, offset, std::move(message));
}

Result<std::shared_ptr<Pipeline>> PipelineParser::pipeline(bool in_range) {
  if (++depth_ > kMaxDepth) {
    return reader_.error(fmt::format("brackets are nested more than {} deep", kMaxDepth));
  }
  auto result = std::make_shared<Pipeline>();
  result->offset = reader_.peek().offset;
  LLMRUN_TRY(declarations(*result, in_range));
  do {
    LLMRUN_ASSIGN(Command one, command());
    const Operand& first = one.operands.front();
    const bool is_value = first.kind == Operand::Kind::kConstant ||
                          first.kind == Operand::Kind::kNil ||
                          (first.kind == Operand::Kind::kDot && first.fields.empty());
    if (!result->commands.empty() && is_value) {
      return reader_.error("what stands behind | must be a function");
    }
    result->commands.push_back(std::move(one));
  } while (reader_.take_punctuation("|"));
  if (!reader_.next_is(Token::Kind::kClose) && !reader_.peek().is_punctuation(")")) {
    return reader_.error("this is not expected here");
  }
  --depth_;
  return result;
}

// `$x :=`, `$x =`, and in a range `$i, $x :=`.
Result<void> PipelineParser::declarations(Pipeline& result, bool in_range) {
  const Token* const after = reader_.peek_after();
  if (!reader_.next_is(Token::Kind::kVariable) || after == nullptr) return {};
  const bool has_two = after->is_punctuation(",");
  if (!has_two && !after->is_punctuation(":=") && !after->is_punctuation("=")) return {};
  result.variables.push_back(reader_.take().text);
  if (has_two) {
    (void)reader_.take();
    if (!in_range) return reader_.error("only {{range}} declares two variables");
    if (!reader_.next_is(Token::Kind::kVariable)) {
      return reader_.error("range can only initialize variables");
    }
    result.variables.push_back(reader_.take().text);
  }
  result.assigns = reader_.take_punctuation("=");
  if (!result.assigns && !reader_.take_punctuation(":=")) {
    return reader_.error("= or := is expected");
  }
  for (const std::string& name : result.variables) {
    if (!result.assigns) {
      variables_.push_back(name);
    } else if (std::find(variables_.begin(), variables_.end(), name) == variables_.end()) {
      return reader_.error(fmt::format("the variable {} is not defined", name));
    }
  }
  return {};
}

Result<Command> PipelineParser::command() {
  Command result;
  for (;;) {
    const Token& next = reader_.peek();
    if (next.kind == Token::Kind::kClose || next.is_punctuation(")") || next.is_punctuation("|")) {
      break;
    }
    if (!result.operands.empty() && !next.after_space) {
      return reader_.error("a blank is missing before this");
    }
    LLMRUN_ASSIGN(Operand one, operand());
    result.operands.push_back(std::move(one));
  }
  if (result.operands.empty()) return reader_.error("a value is missing here");
  return result;
}

// A term and the fields right behind it.
Result<Operand> PipelineParser::operand() {
  LLMRUN_ASSIGN(Operand result, term());
  while (reader_.next_is(Token::Kind::kField) && !reader_.peek().after_space) {
    const bool has_fields = result.kind == Operand::Kind::kVariable ||
                            result.kind == Operand::Kind::kPipeline ||
                            result.kind == Operand::Kind::kFunction || !result.fields.empty();
    if (!has_fields) return reader_.error("there is no field of this value");
    result.fields.push_back(reader_.take().text);
  }
  return result;
}

Result<Operand> PipelineParser::term() {
  const Token& next = reader_.peek();
  Operand result;
  result.offset = next.offset;
  switch (next.kind) {
    case Token::Kind::kDot:
      (void)reader_.take();
      return result;
    case Token::Kind::kField:
      result.fields.push_back(reader_.take().text);
      return result;
    case Token::Kind::kVariable:
      result.kind = Operand::Kind::kVariable;
      result.name = next.text;
      if (std::find(variables_.begin(), variables_.end(), result.name) == variables_.end()) {
        return reader_.error(fmt::format("the variable {} is not defined", result.name));
      }
      (void)reader_.take();
      return result;
    case Token::Kind::kString:
      result.kind = Operand::Kind::kConstant;
      result.constant = Value::text(reader_.take().text, true);
      return result;
    case Token::Kind::kNumber: {
      result.kind = Operand::Kind::kConstant;
      LLMRUN_ASSIGN(result.constant, number(next.text));
      (void)reader_.take();
      return result;
    }
    case Token::Kind::kWord:
      return word(next);
    default:
      break;
  }
  if (!reader_.take_punctuation("(")) return reader_.error("this is not expected here");
  result.kind = Operand::Kind::kPipeline;
  LLMRUN_ASSIGN(result.pipeline, pipeline(false));
  if (!reader_.take_punctuation(")")) return reader_.error("a closing ) is missing");
  return result;
}

Result<Operand> PipelineParser::word(const Token& token) {
  Operand result;
  result.offset = token.offset;
  result.name = token.text;
  if (token.text == "true" || token.text == "false") {
    result.kind = Operand::Kind::kConstant;
    result.constant = Value(token.text == "true");
  } else if (token.text == "nil") {
    result.kind = Operand::Kind::kNil;
  } else if (const auto function = find_function(token.text)) {
    result.kind = Operand::Kind::kFunction;
    result.function = *function;
  } else {
    return reader_.error(fmt::format("there is no function {}", token.text));
  }
  (void)reader_.take();
  return result;
}

// Go's numbers: whole ones in four bases with '_' between digits, or floating-point ones.
Result<Value> PipelineParser::number(const std::string& text) {
  std::string digits = text;
  const bool negative = digits.front() == '-';
  if (negative || digits.front() == '+') digits.erase(0, 1);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  const bool has_prefix = digits.size() > 2 && digits[0] == '0';
  const char letter = has_prefix ? static_cast<char>(digits[1] | 0x20) : '\0';
  int base = letter == 'x' ? 16 : letter == 'b' ? 2 : letter == 'o' ? 8 : 10;
  size_t skipped = base == 10 ? 0 : 2;
  if (base == 10 && digits.size() > 1 && digits[0] == '0' &&
      digits.find_first_not_of("01234567") == std::string::npos) {
    base = 8;  // as in C
    skipped = 1;
  }
  uint64_t whole = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data() + skipped, end, whole, base);
  if (parsed.ec == std::errc() && parsed.ptr == end && whole <= uint64_t{INT64_MAX}) {
    const auto value = static_cast<int64_t>(whole);
    return Value(negative ? -value : value);
  }
  double real = 0;
  const bool is_hex = base == 16;
  const auto as_real =
      std::from_chars(digits.data() + (is_hex ? 2 : 0), end, real,
                      is_hex ? std::chars_format::hex : std::chars_format::general);
  const bool looks_real = digits.find_first_of(is_hex ? "pP" : ".eE") != std::string::npos;
  if (looks_real && as_real.ec == std::errc() && as_real.ptr == end && std::isfinite(real)) {
    return Value(negative ? -real : real);
  }
  return reader_.error(fmt::format("{} is no number, or one that is too large", text));
}

}  // namespace llmrun::chat::go_template
