// Go template source to tokens; see lexer.h.
#include "chat/go_template/lexer.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "chat/go_template/ast.h"

namespace llmrun::chat::go_template {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t npos = std::string_view::npos;

bool is_blank(char c) { return kBlanks.find(c) != npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Letters beyond ASCII count as letters, whatever they are.
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t open = std::min(source_.find("{{", at_), source_.size());
      std::string_view text = source_.substr(at_, open - at_);
      const size_t text_at = at_;
      at_ = open;
      const bool trims =
          open + 3 < source_.size() && source_[open + 2] == '-' && is_blank(source_[open + 3]);
      if (trims) text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
      if (!text.empty()) add(Token::Kind::kText, std::string(text), text_at);
      if (open == source_.size()) break;
      LLMRUN_TRY(action(trims));
    }
    return std::move(tokens_);
  }

 private:
  void add(Token::Kind kind, std::string text, size_t offset) {
    tokens_.push_back({kind, std::move(text), offset, after_space_});
    after_space_ = false;
  }
  [[nodiscard]] std::string_view rest() const { return source_.substr(at_); }

  Result<void> action(bool trims) {
    const size_t open = at_;
    at_ += trims ? 4 : 2;
    if (rest().starts_with("/*")) return comment(open);
    after_space_ = false;
    add(Token::Kind::kOpen, "{{", open);
    for (;;) {
      while (at_ < source_.size() && is_blank(source_[at_])) {
        ++at_;
        after_space_ = true;
      }
      if (at_ == source_.size()) return error_at(source_, open, "this action has no closing }}");
      if (close()) return {};
      LLMRUN_TRY(token());
    }
  }

  Result<void> comment(size_t open) {
    const size_t end = source_.find("*/", at_ + 2);
    if (end == npos) return error_at(source_, open, "this comment has no closing */");
    at_ = end + 2;
    after_space_ = at_ < source_.size() && is_blank(source_[at_]);
    if (after_space_) ++at_;
    const bool had_space = after_space_;
    if (had_space ? !rest().starts_with("-}}") : !rest().starts_with("}}")) {
      return error_at(source_, open, "a comment must end with */}} or */ -}}");
    }
    finish(had_space);
    return {};
  }

  // Whether an action ends here; past it then.
  bool close() {
    const bool trims = after_space_ && rest().starts_with("-}}");
    if (!trims && !rest().starts_with("}}")) return false;
    add(Token::Kind::kClose, "}}", at_);
    finish(trims);
    return true;
  }
  void finish(bool trims) {
    at_ += trims ? 3 : 2;
    after_space_ = false;
    if (trims) at_ = std::min(source_.find_first_not_of(kBlanks, at_), source_.size());
  }

  size_t word_end(size_t from) const {
    while (from < source_.size() && is_word(source_[from])) ++from;
    return from;
  }

  Result<void> token() {
    const char c = source_[at_];
    const size_t start = at_;
    const char next = at_ + 1 < source_.size() ? source_[at_ + 1] : '\0';
    if (c == '"') return quoted();
    if (c == '`') return raw();
    if (c == '\'') return character();
    if (is_digit(c) || ((c == '+' || c == '-' || c == '.') && is_digit(next)) ||
        ((c == '+' || c == '-') && next == '.')) {
      return number();
    }
    if (c == '.' || c == '$' || is_word(c)) {
      at_ = word_end(c == '.' || c == '$' ? at_ + 1 : at_);
      return name(start);
    }
    if (c == ':' && next == '=') {
      at_ += 2;
      add(Token::Kind::kPunctuation, ":=", start);
      return {};
    }
    if (c == '(' || c == ')' || c == '|' || c == ',' || c == '=') {
      ++at_;
      add(Token::Kind::kPunctuation, std::string(1, c), start);
      return {};
    }
    return error_at(source_, start, "this character has no meaning here");
  }

  Result<void> name(size_t start) {
    const std::string_view text = source_.substr(start, at_ - start);
    if (at_ < source_.size()) {
      const char c = source_[at_];
      const bool ends =
          is_blank(c) || std::string_view(".,|:()").find(c) != npos || rest().starts_with("}}");
      if (text != "." && !ends) {
        return error_at(source_, at_, "this character has no meaning after a name");
      }
    }
    if (text == ".") {
      add(Token::Kind::kDot, ".", start);
    } else if (text.front() == '.') {
      add(Token::Kind::kField, std::string(text.substr(1)), start);
    } else {
      add(text.front() == '$' ? Token::Kind::kVariable : Token::Kind::kWord, std::string(text),
          start);
    }
    return {};
  }

  Result<void> number() {
    const size_t start = at_;
    ++at_;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      const char before = source_[at_ - 1];
      const bool is_hex = source_.substr(start, at_ - start).find_first_of("xX") != npos;
      const bool signs_exponent =
          (c == '+' || c == '-') &&
          (before == 'p' || before == 'P' || (!is_hex && (before == 'e' || before == 'E')));
      if (!is_word(c) && c != '.' && !signs_exponent) break;
      ++at_;
    }
    add(Token::Kind::kNumber, std::string(source_.substr(start, at_ - start)), start);
    return {};
  }

  Result<void> quoted() {
    const size_t start = at_++;
    std::string text;
    while (at_ < source_.size() && source_[at_] != '"' && source_[at_] != '\n') {
      const size_t place = at_;
      if (!unescape(source_, at_, text)) return error_at(source_, place, "no such escape");
    }
    if (at_ == source_.size() || source_[at_] != '"') {
      return error_at(source_, start, "this text has no closing quote");
    }
    ++at_;
    add(Token::Kind::kString, std::move(text), start);
    return {};
  }

  Result<void> raw() {
    const size_t end = source_.find('`', at_ + 1);
    if (end == npos) return error_at(source_, at_, "this text has no closing `");
    std::string text(source_.substr(at_ + 1, end - at_ - 1));
    text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());  // as Go does
    const size_t start = at_;
    at_ = end + 1;
    add(Token::Kind::kString, std::move(text), start);
    return {};
  }

  // 'x' is the number of the character.
  Result<void> character() {
    const size_t start = at_++;
    std::string text;
    if (at_ < source_.size() && source_[at_] != '\'' && unescape(source_, at_, text) &&
        at_ < source_.size() && source_[at_] == '\'') {
      const utf8::Decoded decoded = utf8::decode(text);
      if (decoded.valid && decoded.length == text.size()) {
        ++at_;
        add(Token::Kind::kNumber, std::to_string(decoded.code_point), start);
        return {};
      }
    }
    return error_at(source_, start, "this is no character; write it like 'x'");
  }

  std::string_view source_;
  size_t at_ = 0;
  bool after_space_ = false;
  std::vector<Token> tokens_;
};

// `n_digits` digits of that base; false when they are not there.
bool digits(std::string_view text, size_t& at, size_t n_digits, uint32_t base, uint32_t& value) {
  value = 0;
  for (size_t i = 0; i < n_digits; ++i, ++at) {
    if (at >= text.size()) return false;
    const char c = text[at];
    uint32_t digit = 16;
    if (is_digit(c)) digit = static_cast<uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<uint32_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') digit = static_cast<uint32_t>(c - 'A' + 10);
    if (digit >= base) return false;
    value = value * base + digit;
  }
  return true;
}

}  // namespace

bool unescape(std::string_view text, size_t& at, std::string& out) {
  if (text[at] != '\\') {
    const size_t length = std::max<size_t>(utf8::decode(text, at).length, 1);
    out += text.substr(at, length);
    at += length;
    return true;
  }
  if (at + 1 >= text.size()) return false;
  constexpr std::string_view kLetters = "abfnrtv\\'\"";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
  const char c = text[at + 1];
  if (const size_t letter = kLetters.find(c); letter != npos) {
    out += kMeanings[letter];
    at += 2;
    return true;
  }
  uint32_t value = 0;
  if (is_digit(c)) {
    ++at;
    if (!digits(text, at, 3, 8, value) || value > 255) return false;
    out += static_cast<char>(value);
    return true;
  }
  const size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  at += 2;
  if (n == 0 || !digits(text, at, n, 16, value)) return false;
  if (c == 'x') {
    out += static_cast<char>(value);
    return true;
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
  utf8::append(out, value);
  return true;
}

std::string place_of(std::string_view source, size_t offset) {
  const std::string_view before = source.substr(0, std::min(offset, source.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  return fmt::format("line {}, column {}", line, before.size() - (before.rfind('\n') + 1) + 1);
}

tl::unexpected<Error> error_at(std::string_view source, size_t offset, std::string message) {
  return with_context(Error{ErrorCode::kBadModel, std::move(message), {}},
                      place_of(source, offset));
}

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace llmrun::chat::go_template
