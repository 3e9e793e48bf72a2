// Reads and writes Modelfiles; see modelfile.h.
#include "store/modelfile.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/utf8.h"

namespace llmrun::store {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kAllBlanks = " \t\r\n";

template <typename... Args>
tl::unexpected<Error> error_in(int line, fmt::format_string<Args...> text, Args&&... args) {
  return make_error(ErrorCode::kUsage, "line {}: {}", line,
                    fmt::format(text, std::forward<Args>(args)...));
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kAllBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kAllBlanks) - first + 1);
}

// What a value means. Nothing: a quote is open, so the value goes on in the next line.
std::optional<std::string_view> unquoted(std::string_view value) {
  for (const std::string_view quote : {std::string_view("\"\"\""), std::string_view("\"")}) {
    if (!value.starts_with(quote)) continue;
    if (value.size() < 2 * quote.size() || !value.ends_with(quote)) return std::nullopt;
    return value.substr(quote.size(), value.size() - 2 * quote.size());
  }
  return value;
}

// UTF-16 with a byte order mark, as some editors write it, becomes UTF-8.
std::string to_utf8(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) return std::string(text.substr(3));
  const bool big = text.starts_with("\xFE\xFF");
  if (!big && !text.starts_with("\xFF\xFE")) return std::string(text);
  const auto unit = [&](size_t at) -> uint32_t {
    const auto first = static_cast<unsigned char>(text[at]);
    const auto second = static_cast<unsigned char>(text[at + 1]);
    return big ? first * 256U + second : second * 256U + first;
  };
  std::string result;
  for (size_t at = 2; at + 1 < text.size(); at += 2) {
    uint32_t c = unit(at);
    if (c >= 0xD800 && c < 0xDC00 && at + 3 < text.size()) {
      const uint32_t low = unit(at + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10U) + (low - 0xDC00);
        at += 2;
      }
    }
    utf8::append(result, c);
  }
  return result;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Modelfile> run() {
    while (next_line()) {
      const std::string_view line = trimmed(line_);
      if (line.empty() || line.front() == '#') continue;
      LLMRUN_TRY(command(line));
    }
    if (file_.from.empty()) {
      return make_error(ErrorCode::kUsage,
                        "no FROM line: a Modelfile says what the model is made of, as in FROM "
                        "./model.gguf or FROM smollm2:135m");
    }
    return std::move(file_);
  }

 private:
  bool next_line() {
    if (at_ >= text_.size()) return false;
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    line_ = text_.substr(at_, end - at_);
    at_ = end + 1;
    ++number_;
    return true;
  }

  Result<void> command(std::string_view line) {
    const int start = number_;
    const std::string word = first_word(line);
    for (const auto& [name, handler] : kCommands) {
      if (name != word) continue;
      std::string parameter;
      if (word == "PARAMETER" || word == "MESSAGE") {
        parameter = std::string(line.substr(0, std::min(line.find_first_of(kBlanks), line.size())));
        line = trimmed(line.substr(parameter.size()));
      }
      LLMRUN_ASSIGN(const std::string value, whole_value(line, start));
      return (this->*handler)(parameter, value, start);
    }
    std::string known;
    for (const auto& [name, handler] : kCommands) known += (known.empty() ? "" : ", ") + name;
    return error_in(start, "{} is no command; there are {}",
                    word.empty() ? "this" : utf8::sanitize(word.substr(0, 40)), known);
  }

  // Takes the word off the line and gives it in capital letters.
  static std::string first_word(std::string_view& line) {
    const size_t end = std::min(line.find_first_of(kBlanks), line.size());
    std::string word(line.substr(0, end));
    for (char& c : word) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    line = trimmed(line.substr(end));
    return word;
  }

  // The value that begins with `first` and may go on in further lines.
  Result<std::string> whole_value(std::string_view first, int start) {
    std::string value(first);
    for (;;) {
      if (const auto meant = unquoted(trimmed(value))) return std::string(*meant);
      if (!next_line()) return error_in(start, "the text that begins here has no closing quote");
      value += '\n';
      value += line_.ends_with('\r') ? line_.substr(0, line_.size() - 1) : line_;
    }
  }

  Result<void> from(const std::string&, const std::string& value, int line) {
    if (value.empty()) return error_in(line, "FROM needs a path or a name");
    if (!file_.from.empty()) {
      return error_in(line, "there is a FROM in line {} already, and a model is made of one",
                      file_.from_line);
    }
    file_.from = value;
    file_.from_line = line;
    return {};
  }
  Result<void> parameter(const std::string& name, const std::string& value, int line) {
    if (name.empty() || value.empty()) {
      return error_in(line, "PARAMETER needs a name and a value, as in PARAMETER temperature 0.7");
    }
    file_.parameters.push_back({name, value, line});
    return {};
  }
  Result<void> message(const std::string& role, const std::string& value, int line) {
    if (role != "system" && role != "user" && role != "assistant") {
      return error_in(line, "the role of a MESSAGE is system, user or assistant, not \"{}\"",
                      utf8::sanitize(role.substr(0, 40)));
    }
    file_.messages.push_back({.role = role, .content = value});
    return {};
  }
  Result<void> chat_template(const std::string&, const std::string& value, int) {
    file_.chat_template = value;
    return {};
  }
  Result<void> system(const std::string&, const std::string& value, int) {
    file_.system = value;
    return {};
  }
  Result<void> adapter(const std::string&, const std::string& value, int line) {
    if (value.empty()) return error_in(line, "ADAPTER needs the path of a GGUF file");
    file_.adapters.push_back(value);
    return {};
  }
  Result<void> license(const std::string&, const std::string& value, int) {
    file_.licenses.push_back(value);
    return {};
  }
  Result<void> requires_version(const std::string&, const std::string& value, int) {
    file_.requires_version = value;
    return {};
  }
  Result<void> unsupported(const std::string&, const std::string&, int line) {
    return error_in(line,
                    "DRAFT, RENDERER and PARSER cannot be used here: drafts are given when a model "
                    "is run, and chats are rendered by templates");
  }

  using Handler = Result<void> (Reader::*)(const std::string& parameter, const std::string& value,
                                           int line);
  static const std::array<std::pair<std::string, Handler>, 11> kCommands;

  std::string_view text_;
  size_t at_ = 0;
  std::string_view line_;
  int number_ = 0;
  Modelfile file_;
};

const std::array<std::pair<std::string, Reader::Handler>, 11> Reader::kCommands = {{
    {"FROM", &Reader::from},
    {"PARAMETER", &Reader::parameter},
    {"TEMPLATE", &Reader::chat_template},
    {"SYSTEM", &Reader::system},
    {"ADAPTER", &Reader::adapter},
    {"LICENSE", &Reader::license},
    {"MESSAGE", &Reader::message},
    {"REQUIRES", &Reader::requires_version},
    {"DRAFT", &Reader::unsupported},
    {"RENDERER", &Reader::unsupported},
    {"PARSER", &Reader::unsupported},
}};

// Bare when that reads back, else in quotes. (The grammar has no way to write a text of several
// lines of which one, before the last, ends with three quotes.)
std::string quoted(const std::string& value) {
  const bool has_lines = value.find_first_of("\r\n") != std::string::npos;
  const bool has_blanks = trimmed(value).size() != value.size() || value.empty();
  if (!has_lines && !has_blanks && value.front() != '"') return value;
  if (has_lines || value.find('"') != std::string::npos) return "\"\"\"" + value + "\"\"\"";
  return "\"" + value + "\"";
}

}  // namespace

Result<Modelfile> parse_modelfile(std::string_view text) {
  if (text.size() > kMaxModelfileBytes) {
    return make_error(ErrorCode::kUsage, "a Modelfile has at most {} bytes, and this has {}",
                      kMaxModelfileBytes, text.size());
  }
  const std::string converted = to_utf8(text);
  return Reader(converted).run();
}

std::string write_modelfile(const Modelfile& file, std::string_view comments) {
  std::string text;
  while (!comments.empty()) {
    const size_t end = std::min(comments.find('\n'), comments.size());
    text += fmt::format("# {}\n", comments.substr(0, end));
    comments.remove_prefix(std::min(end + 1, comments.size()));
  }
  text += fmt::format("FROM {}\n", quoted(file.from));
  for (const std::string& adapter : file.adapters) text += "ADAPTER " + quoted(adapter) + "\n";
  if (file.chat_template) text += "TEMPLATE " + quoted(*file.chat_template) + "\n";
  if (file.system) text += "SYSTEM " + quoted(*file.system) + "\n";
  for (const ModelfileParameter& parameter : file.parameters) {
    text += fmt::format("PARAMETER {} {}\n", parameter.name, quoted(parameter.value));
  }
  for (const Message& message : file.messages) {
    text += fmt::format("MESSAGE {} {}\n", message.role, quoted(message.content));
  }
  for (const std::string& license : file.licenses) text += "LICENSE " + quoted(license) + "\n";
  if (!file.requires_version.empty()) text += "REQUIRES " + quoted(file.requires_version) + "\n";
  return text;
}

}  // namespace llmrun::store
