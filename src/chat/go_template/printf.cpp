// printf of Go templates: the verbs of Go's fmt package for the types that templates have.
#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "chat/go_template/functions.h"

namespace llmrun::chat::go_template {
namespace {

constexpr int64_t kMaxWidth = 10'000;  // of one field; fmt has a limit of its own

struct Verb {
  char letter = 'v';
  bool left = false, zero = false, plus = false, blank = false, sharp = false;
  int64_t width = 0;
  int precision = -1;
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const utf8::Decoded decoded = utf8::decode(text, i);
    const size_t length = std::max<size_t>(decoded.length, 1);
    const char c = text[i];
    constexpr std::string_view kFrom = "\a\b\f\n\r\t\v\\\"";
    constexpr std::string_view kTo = "abfnrtv\\\"";
    if (const size_t special = kFrom.find(c); special != std::string_view::npos) {
      out += {'\\', kTo[special]};
    } else if (!decoded.valid || decoded.code_point < 0x20 || decoded.code_point == 0x7F) {
      for (size_t k = 0; k < length; ++k) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i + k]));
      }
    } else {
      out += text.substr(i, length);
    }
    i += length;
  }
  return out + "\"";
}

std::string quoted_character(int64_t value) {
  std::string text = quoted(utf8::encode(static_cast<uint32_t>(value)));
  if (text == "\"'\"") text = "\"\\'\"";
  if (text == "\"\\\"\"") text = "\"\"\"";
  text.front() = text.back() = '\'';
  return text;
}

std::string integer(const Verb& verb, int64_t value) {
  const bool negative = value < 0;
  const uint64_t size = negative ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  std::string digits;
  switch (verb.letter) {
    case 'x':
      digits = fmt::format("{:x}", size);
      break;
    case 'X':
      digits = fmt::format("{:X}", size);
      break;
    case 'o':
      digits = fmt::format("{:o}", size);
      break;
    case 'b':
      digits = fmt::format("{:b}", size);
      break;
    default:
      digits = fmt::format("{}", size);
  }
  const char* const sign = negative ? "-" : verb.plus ? "+" : verb.blank ? " " : "";
  if (verb.zero && !verb.left && verb.precision < 0) {
    const int64_t used = static_cast<int64_t>(digits.size()) + (*sign != '\0' ? 1 : 0);
    if (verb.width > used) digits.insert(0, static_cast<size_t>(verb.width - used), '0');
  }
  return sign + digits;
}

std::string hexadecimal(std::string_view text, bool upper) {
  std::string out;
  for (const char c : text) {
    out += upper ? fmt::format("{:02X}", static_cast<unsigned char>(c))
                 : fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

class Formatter {
 public:
  Formatter(std::span<const Value> arguments, uint64_t max_bytes)
      : format_(*arguments[0].as_text()), values_(arguments.subspan(1)), out_(max_bytes) {}

  Result<Value> run() {
    const std::string_view text = format_.view();
    size_t at = 0;
    while (at < text.size() && !out_.overflow()) {
      const size_t percent = std::min(text.find('%', at), text.size());
      out_.append(format_, at, percent);
      at = percent;
      if (at < text.size()) at = one(at + 1);
    }
    if (next_ < values_.size()) put_extra();
    if (out_.overflow()) {
      return make_error(ErrorCode::kBadModel,
                        "printf: the text grew past the memory that a template may use");
    }
    return Value(out_.take());
  }

 private:
  // What stands behind a percent sign; returns where it ends.
  size_t one(size_t at) {
    const std::string_view text = format_.view();
    Verb verb;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '-') {
        verb.left = true;
      } else if (c == '0') {
        verb.zero = !verb.left;
      } else if (c == '+') {
        verb.plus = true;
      } else if (c == ' ') {
        verb.blank = true;
      } else if (c == '#') {
        verb.sharp = true;
      } else {
        break;
      }
    }
    verb.width = number(at);
    if (at < text.size() && text[at] == '.') verb.precision = static_cast<int>(number(++at));
    if (at >= text.size()) {
      out_.append("%!(NOVERB)", true);
      return at;
    }
    const size_t length = std::max<size_t>(utf8::decode(text, at).length, 1);
    verb.letter = text[at];
    if (verb.letter == '%') {
      out_.append("%", true);
    } else if (next_ >= values_.size()) {
      out_.append(fmt::format("%!{}(MISSING)", text.substr(at, length)), true);
    } else {
      put(verb, text.substr(at, length), values_[next_++]);
    }
    return at + length;
  }

  int64_t number(size_t& at) {
    const std::string_view text = format_.view();
    int64_t value = 0;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      value = std::min(value * 10 + (text[at] - '0'), kMaxWidth);
    }
    return value;
  }

  // Pads to the width, counted in characters.
  void padded(const Verb& verb, const Text& text) {
    const auto length = static_cast<int64_t>(utf8::count(text.view()));
    const std::string blanks(static_cast<size_t>(std::max<int64_t>(verb.width - length, 0)),
                             verb.zero && !verb.left ? '0' : ' ');
    if (!verb.left) out_.append(blanks, true);
    out_.append(text);
    if (verb.left) out_.append(blanks, true);
  }
  void padded(const Verb& verb, std::string text, bool trusted) {
    padded(verb, Text(std::move(text), trusted));
  }

  void put(const Verb& verb, std::string_view written, const Value& value) {
    if (value.is_nil()) {
      if (verb.letter == 'v') return padded(verb, "<nil>", true);
      out_.append(fmt::format("%!{}(<nil>)", written), true);
    } else if (const List* const list = value.as_list(); list != nullptr && !list->prints_json) {
      out_.append("[", true);
      for (size_t i = 0; i < list->items.size() && !out_.overflow(); ++i) {
        if (i > 0) out_.append(" ", true);
        put_inside(verb, written, list->items[i]);
      }
      out_.append("]", true);
    } else if (const Object* const object = value.as_object();
               object != nullptr && !object->prints_json) {
      put_object(verb, written, *object);
    } else if (!put_scalar(verb, written, value)) {
      out_.append(fmt::format("%!{}({}=", written, type_name(value)), true);
      Verb plain = verb;
      plain.letter = 'v';
      put_plain(plain, value);
      out_.append(")", true);
    }
  }

  // The verb and its width hold for what is inside of containers, too.
  void put_inside(const Verb& verb, std::string_view written, const Value& value) {
    if (!value.is_nil()) return put(verb, written, value);
    out_.append("<nil>", true);
  }

  void put_object(const Verb& verb, std::string_view written, const Object& object) {
    out_.append(object.is_struct ? "{" : "map[", true);
    bool first = true;
    for (const Member& member : object.members) {
      if (member.is_method || out_.overflow()) continue;
      if (!first) out_.append(" ", true);
      first = false;
      if (!object.is_struct) {
        put(verb, written, Value::text(member.name, member.trusted));
        out_.append(":", true);
      }
      put_inside(verb, written, member.value);
    }
    out_.append(object.is_struct ? "}" : "]", true);
  }

  // False: the verb does not go with the value.
  bool put_scalar(const Verb& verb, std::string_view written, const Value& value) {
    const char letter = verb.letter;
    const auto is_one_of = [letter](std::string_view letters) {
      return letters.find(letter) != std::string_view::npos;
    };
    if (written.size() != 1) return false;
    if (letter == 'v') return put_plain(verb, value), true;
    if (value.as_bool() != nullptr && letter == 't') return put_plain(verb, value), true;
    if (const int64_t* const i = value.as_int()) {
      if (is_one_of("dxXob")) return padded(verb, integer(verb, *i), true), true;
      if (letter == 'q') return padded(verb, quoted_character(*i), true), true;
      if (letter == 'c') return padded(verb, utf8::encode(static_cast<uint32_t>(*i)), true), true;
      return false;
    }
    if (const double* const f = value.as_float()) {
      if (!is_one_of("fFeEgG")) return false;
      std::string text = format_float(*f, letter, verb.precision);
      if (verb.plus && text.front() != '-' && text.front() != '+') text.insert(0, 1, '+');
      return padded(verb, std::move(text), true), true;
    }
    if (value.as_bool() != nullptr || !is_one_of("sqxX")) return false;
    return put_text(verb, value), true;
  }

  // A text, or what prints as JSON.
  void put_text(const Verb& verb, const Value& value) {
    if (verb.letter == 's') return put_plain(verb, value);
    TextBuilder builder(UINT32_MAX);
    print(builder, value);
    const Text text = builder.take();
    padded(verb,
           verb.letter == 'q' ? quoted(text.view()) : hexadecimal(text.view(), verb.letter == 'X'),
           text.trusted());
  }

  void put_plain(const Verb& verb, const Value& value) {
    if (const int64_t* const i = value.as_int()) return padded(verb, integer(verb, *i), true);
    if (const double* const f = value.as_float()) {
      return padded(verb, format_float(*f, verb.precision < 0 ? 'v' : 'g', verb.precision), true);
    }
    TextBuilder one(UINT32_MAX);
    print(one, value);
    Text text = one.take();
    if (verb.precision >= 0 && value.as_text() != nullptr) {  // at most so many characters
      size_t end = 0;
      for (int i = 0; i < verb.precision && end < text.size(); ++i) {
        end += std::max<size_t>(utf8::decode(text.view(), end).length, 1);
      }
      TextBuilder part(UINT32_MAX);
      part.append(text, 0, end);
      text = part.take();
    }
    padded(verb, text);
  }

  void put_extra() {
    out_.append("%!(EXTRA ", true);
    for (size_t i = next_; i < values_.size() && !out_.overflow(); ++i) {
      if (i > next_) out_.append(", ", true);
      if (values_[i].is_nil()) {
        out_.append("<nil>", true);
        continue;
      }
      out_.append(type_name(values_[i]) + "=", true);
      print(out_, values_[i]);
    }
    out_.append(")", true);
  }

  const Text& format_;
  std::span<const Value> values_;
  TextBuilder out_;
  size_t next_ = 0;
};

}  // namespace

Result<Value> format(std::span<const Value> arguments, uint64_t max_bytes) {
  if (arguments.empty() || arguments[0].as_text() == nullptr) {
    return make_error(ErrorCode::kBadModel, "printf: the format must be a text");
  }
  return Formatter(arguments, max_bytes).run();
}

}  // namespace llmrun::chat::go_template
