// A hand-written scanner: text up to the next tag, then the tag's tokens up to its end.
#include "chat/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "chat/jinja/literals.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

// \r\n and \r become \n; one newline at the very end is dropped.
std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = find_tag(at_);
      if (tag == source_.size()) {
        emit_text(at_, tag);
        at_ = tag;
        break;
      }
      LLMRUN_TRY(scan_tag(tag));
    }
    emit(TokenKind::kEnd, at_);
    return std::move(tokens_);
  }

 private:
  bool has(size_t at, std::string_view wanted) const {
    return std::string_view(source_).substr(at).substr(0, wanted.size()) == wanted;
  }
  char peek(size_t at) const { return at < source_.size() ? source_[at] : '\0'; }

  size_t find_tag(size_t from) const {
    for (size_t i = from; (i = source_.find('{', i)) != std::string::npos; ++i) {
      const char next = peek(i + 1);
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return source_.size();
  }

  size_t skip_space(size_t at) const {
    while (at < source_.size()) {
      const CodePoint point = decode_at(source_, at);
      if (!is_space(point.value)) break;
      at += point.bytes;
    }
    return at;
  }

  Position position(size_t at) {
    for (; counted_ < at; ++counted_) {
      if (source_[counted_] == '\n') {
        ++line_;
        line_start_ = counted_ + 1;
      }
    }
    return {line_, static_cast<uint32_t>(at - line_start_) + 1};
  }

  // Unlike position(), which only goes forward, this counts from the beginning.
  tl::unexpected<Error> fail(size_t at, std::string_view message) const {
    const std::string_view before = std::string_view(source_).substr(0, at);
    const auto lines = static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n'));
    const size_t start = lines == 0 ? 0 : before.rfind('\n') + 1;
    const Position place{lines + 1, static_cast<uint32_t>(at - start) + 1};
    return with_context(Error{ErrorCode::kBadModel, std::string(message), ""}, to_string(place));
  }

  Token& emit(TokenKind kind, size_t at, std::string_view text = {}) {
    tokens_.push_back(Token{kind, position(at), std::string(text), 0, 0});
    return tokens_.back();
  }

  void emit_text(size_t begin, size_t end) {
    if (begin < end) {
      emit(TokenKind::kText, begin, std::string_view(source_).substr(begin, end - begin));
    }
  }

  // Where the text before a tag ends, after the tag's sign and lstrip_blocks had their say.
  size_t text_end(size_t begin, size_t tag, char sign, bool strips) const {
    const std::string_view text = std::string_view(source_).substr(begin, tag - begin);
    if (sign == '-') return begin + strip_space(text, false, true).size();
    if (sign == '+' || !strips) return tag;
    const size_t newline = text.rfind('\n');
    const bool at_line_start = newline != std::string_view::npos || line_starting_;
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if (at_line_start && strip_space(text.substr(line)).empty()) return begin + line;
    return tag;
  }

  // The end of a tag at `at` ("%}" and its forms with a sign), 0 when there is none. Sets at_ and
  // line_starting_ past it and past the whitespace it swallows.
  bool close_tag(size_t at, std::string_view mark, bool trims, bool plus) {
    size_t end = 0;
    if (has(at, mark)) {
      end = at + mark.size();
      if (trims && peek(end) == '\n') ++end;
    } else if (peek(at) == '-' && has(at + 1, mark)) {
      end = skip_space(at + 1 + mark.size());
    } else if (plus && peek(at) == '+' && has(at + 1, mark)) {
      end = at + 1 + mark.size();
    } else {
      return false;
    }
    line_starting_ = source_[end - 1] == '\n';
    at_ = end;
    return true;
  }

  // "{% raw %}" at `tag`: the offset where its text begins, or 0.
  size_t raw_begin(size_t tag) const {
    size_t at = tag + 2;
    if (peek(at) == '-' || peek(at) == '+') ++at;
    at = skip_space(at);
    if (!has(at, "raw")) return 0;
    at = skip_space(at + 3);
    if (has(at, "%}")) return at + 2;
    if (has(at, "-%}")) return skip_space(at + 3);
    return 0;
  }

  Result<void> scan_raw(size_t tag, size_t begin) {
    line_starting_ = source_[begin - 1] == '\n';
    for (size_t end = begin; (end = source_.find("{%", end)) != std::string::npos; ++end) {
      size_t at = end + 2;
      const char sign = peek(at);
      if (sign == '-' || sign == '+') ++at;
      at = skip_space(at);
      if (!has(at, "endraw")) continue;
      const size_t stop = text_end(begin, end, sign, true);
      if (!close_tag(skip_space(at + 6), "%}", true, true)) continue;
      emit_text(begin, stop);
      return {};
    }
    return fail(tag, "'{% raw %}' has no '{% endraw %}'");
  }

  Result<void> scan_comment(size_t tag) {
    for (size_t end = tag + 2; (end = source_.find("#}", end)) != std::string::npos; ++end) {
      // The sign belongs to the end of the comment, unless it is the comment's opening sign.
      const bool signed_end = end > tag + 2 && (source_[end - 1] == '-' || source_[end - 1] == '+');
      close_tag(signed_end ? end - 1 : end, "#}", true, true);
      return {};
    }
    return fail(tag, "'{#' has no '#}'");
  }

  Result<void> scan_tag(size_t tag) {
    const char type = source_[tag + 1];
    const char sign = peek(tag + 2);
    const size_t begin = at_;
    emit_text(begin, std::max(begin, text_end(begin, tag, sign, type != '{')));
    const size_t inside = tag + 2 + (sign == '-' || sign == '+' ? 1 : 0);
    if (type == '#') return scan_comment(inside - 2);
    if (type == '%') {
      if (const size_t raw = raw_begin(tag); raw != 0) return scan_raw(tag, raw);
    }
    const bool output = type == '{';
    emit(output ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, tag);
    at_ = inside;
    line_starting_ = false;
    return scan_inside(tag, output);
  }

  Result<void> scan_inside(size_t tag, bool output) {
    std::string open;  // brackets that wait for their end
    while (true) {
      at_ = skip_space(at_);
      if (at_ >= source_.size()) {
        return fail(tag, output ? "'{{' has no '}}'" : "'{%' has no '%}'");
      }
      const size_t start = at_;
      if (open.empty() && close_tag(start, output ? "}}" : "%}", !output, !output)) {
        emit(output ? TokenKind::kOutputEnd : TokenKind::kBlockEnd, start);
        return {};
      }
      LLMRUN_TRY(scan_token(open));
    }
  }

  Result<void> scan_token(std::string& open) {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return scan_string(c);
    if (c >= '0' && c <= '9') return scan_number();
    const CodePoint point = decode_at(source_, at_);
    if (point.value != CodePoint::kInvalid && is_word(point.value)) return scan_name();
    return scan_operator(open);
  }

  Result<void> scan_name() {
    const size_t start = at_;
    while (at_ < source_.size()) {
      const CodePoint point = decode_at(source_, at_);
      if (point.value == CodePoint::kInvalid || !is_word(point.value)) break;
      at_ += point.bytes;
    }
    emit(TokenKind::kName, start, std::string_view(source_).substr(start, at_ - start));
    return {};
  }

  Result<void> scan_number() {
    NumberLiteral number;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const size_t start = at_;
    if (!read_number(std::string_view(source_).substr(at_), !after_dot, number)) {
      return fail(at_, "a number that does not fit in 64 bits");
    }
    at_ += number.bytes;
    Token& token = emit(number.is_float ? TokenKind::kFloat : TokenKind::kInteger, start);
    token.integer = number.integer;
    token.real = number.real;
    return {};
  }

  Result<void> scan_string(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return fail(at_, "a string without its closing quote");
    std::string text;
    std::string problem;
    if (!unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1), text, problem)) {
      return fail(at_, problem);
    }
    emit(TokenKind::kString, at_).text = std::move(text);
    at_ = end + 1;
    return {};
  }

  Result<void> scan_operator(std::string& open) {
    static constexpr std::array<std::string_view, 26> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                     [this](std::string_view sign) { return has(at_, sign); });
    if (found == kOperators.end()) {
      const size_t bytes = decode_at(source_, at_).bytes;
      return fail(at_, fmt::format("'{}' does not belong here", source_.substr(at_, bytes)));
    }
    const char sign = found->front();
    if (*found == "(" || *found == "[" || *found == "{") {
      open += sign == '(' ? ')' : sign == '[' ? ']' : '}';
    } else if (*found == ")" || *found == "]" || *found == "}") {
      if (open.empty()) return fail(at_, fmt::format("'{}' without its beginning", sign));
      if (open.back() != sign) {
        return fail(at_, fmt::format("'{}' where '{}' was expected", sign, open.back()));
      }
      open.pop_back();
    }
    emit(TokenKind::kOperator, at_, *found);
    at_ += found->size();
    return {};
  }

  std::string source_;
  size_t at_ = 0;
  bool line_starting_ = true;  // the character before at_ is a newline, or there is none
  std::vector<Token> tokens_;
  size_t counted_ = 0;  // position() has counted the lines up to here
  size_t line_start_ = 0;
  uint32_t line_ = 1;
};

}  // namespace

std::string to_string(Position at) { return fmt::format("line {}, column {}", at.line, at.column); }

Result<std::vector<Token>> tokenize(std::string_view source) {
  return Lexer(normalize(source)).run();
}

}  // namespace llmrun::chat::jinja
