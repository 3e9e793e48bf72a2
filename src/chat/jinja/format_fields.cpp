// The two syntaxes of format strings; what a field prints is in format.cpp.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "chat/jinja/format.h"
#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

// Hands out the values of a % format in order, or by name.
class PercentValues {
 public:
  explicit PercentValues(const Value& values) : values_(values) {}

  Result<Value> next() {
    if (!values_.is_tuple()) {
      if (used_++ > 0) return template_error("not enough values for the format");
      return values_;
    }
    const auto& items = values_.as<ListObject>().items;
    if (used_ >= items.size()) return template_error("not enough values for the format");
    return items[used_++];
  }
  Result<Value> named(std::string_view name) {
    if (!values_.is_dict()) return template_error("the format names a value; give a dictionary");
    used_ = 1;
    const Value* found = values_.as<DictObject>().find(name);
    if (found == nullptr) return template_error("the format has no value named '{}'", name);
    return *found;
  }
  Result<void> finish() const {
    const size_t given = values_.is_tuple() ? values_.as<ListObject>().items.size() : 1;
    if (values_.is_dict() || used_ >= given) return {};
    return template_error("not all values were used by the format");
  }

 private:
  const Value& values_;
  size_t used_ = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(Heap& heap, const Value& format, const Value& values)
      : heap_(heap), format_(format), view_(format.view()), values_(values), out_(heap.builder()) {}

  Result<Value> run() {
    size_t kept = 0;
    for (size_t at = 0; (at = view_.find('%', at)) != std::string_view::npos;) {
      LLMRUN_TRY(heap_.spend(1));
      out_.append(format_.text(), kept, at);
      ++at;
      LLMRUN_TRY(field(at));
      kept = at;
    }
    out_.append(format_.text(), kept, view_.size());
    LLMRUN_TRY(values_.finish());
    return heap_.text(out_, format_.as_string().markup());
  }

 private:
  Result<void> field(size_t& at) {
    std::optional<Value> value;
    if (at < view_.size() && view_[at] == '(') {
      const size_t end = view_.find(')', at);
      if (end == std::string_view::npos) return template_error("'%(' without its ')'");
      LLMRUN_ASSIGN(value, values_.named(view_.substr(at + 1, end - at - 1)));
      at = end + 1;
    }
    LLMRUN_ASSIGN(FormatSpec spec, read_spec(at));
    if (at >= view_.size()) return template_error("the format ends after '%'");
    const char type = view_[at++];
    if (type == '%') {
      out_.append("%", format_.text().trusted_at(at - 1));
      return {};
    }
    if (!value) {
      LLMRUN_ASSIGN(value, values_.next());
    }
    return write(*value, spec, type);
  }

  // Flags, width and precision: "-08.3".
  Result<FormatSpec> read_spec(size_t& at) {
    FormatSpec spec;
    bool left = false;
    for (; at < view_.size(); ++at) {
      const char flag = view_[at];
      if (flag == '-') {
        left = true;
      } else if (flag == '0') {
        spec.zero = true;
      } else if (flag == '+' || (flag == ' ' && spec.sign != '+')) {
        spec.sign = flag;
      } else if (flag == '#') {
        spec.alternate = true;
      } else {
        break;
      }
    }
    LLMRUN_ASSIGN(const std::optional<int64_t> width, read_number(at));
    spec.width = width.value_or(0);
    if (at < view_.size() && view_[at] == '.') {
      ++at;
      LLMRUN_ASSIGN(const std::optional<int64_t> precision, read_number(at));
      spec.precision = precision.value_or(0);
    }
    while (at < view_.size() && (view_[at] == 'l' || view_[at] == 'h' || view_[at] == 'L')) ++at;
    if (left) {
      spec.align = '<';
      spec.zero = false;
    } else if (!spec.zero) {
      spec.align = '>';
    }
    return spec;
  }

  Result<std::optional<int64_t>> read_number(size_t& at) {
    if (at < view_.size() && view_[at] == '*') {
      ++at;
      LLMRUN_ASSIGN(const Value value, values_.next());
      const auto integer = value.integer();
      if (!integer || *integer < 0 || *integer > 400) {
        return template_error("'*' in a format needs a small integer");
      }
      return integer;
    }
    size_t end = at;
    while (end < view_.size() && view_[end] >= '0' && view_[end] <= '9') ++end;
    if (end == at) return std::optional<int64_t>();
    if (end - at > 6) return template_error("a width in a format is too large");
    int64_t number = 0;
    std::from_chars(view_.data() + at, view_.data() + end, number);
    at = end;
    return std::optional<int64_t>(number);
  }

  Result<void> write(const Value& value, FormatSpec spec, char type) {
    if (type == 's' || type == 'r' || type == 'a') {
      spec.type = 's';
      spec.zero = false;
      if (spec.align == '\0') spec.align = '>';
      LLMRUN_ASSIGN(Value text, type == 's' ? to_string(heap_, value) : repr(heap_, value));
      if (format_.as_string().markup()) {
        LLMRUN_ASSIGN(text, escape(heap_, text));
      }
      return write_formatted(heap_, out_, text, spec);
    }
    if (type == 'c') return write_character(value, spec);
    if (std::string_view("diuxXofFeEgG").find(type) == std::string_view::npos) {
      return template_error("'%{}' is not a format", type);
    }
    if (!value.is_number()) {
      return template_error("%{} needs a number, not {}", type, type_name(value));
    }
    const bool integer_type = type == 'd' || type == 'i' || type == 'u';
    Value number = value;
    if (integer_type && value.is_float()) {
      if (!(std::abs(value.as_float()) < 9.2e18)) {
        return template_error("%{} needs a number that fits in 64 bits", type);
      }
      number = Value(static_cast<int64_t>(value.as_float()));
    }
    if (spec.precision > 400) return template_error("a precision in a format is too large");
    spec.type = integer_type ? 'd' : type;
    return write_formatted(heap_, out_, number, spec);
  }

  Result<void> write_character(const Value& value, FormatSpec spec) {
    Value text = value;
    if (const auto code = value.integer()) {
      if (*code < 0 || *code > 0x10FFFF) return template_error("%c needs a character");
      std::string character;
      append_utf8(character, static_cast<uint32_t>(*code));
      LLMRUN_ASSIGN(text, heap_.text(character, true));
    }
    if (!text.is_string() || text.as_string().length() != 1) {
      return template_error("%c needs one character");
    }
    spec.type = 's';
    spec.zero = false;
    return write_formatted(heap_, out_, text, spec);
  }

  Heap& heap_;
  const Value& format_;
  std::string_view view_;
  PercentValues values_;
  TextBuilder out_;
};

class BraceFormatter {
 public:
  BraceFormatter(Heap& heap, const Value& format, const std::vector<Value>& positional,
                 const NamedValues& named)
      : heap_(heap),
        format_(format),
        view_(format.view()),
        positional_(positional),
        named_(named),
        out_(heap.builder()) {}

  Result<Value> run() {
    size_t kept = 0;
    for (size_t at = 0; (at = view_.find_first_of("{}", at)) != std::string_view::npos;) {
      LLMRUN_TRY(heap_.spend(1));
      out_.append(format_.text(), kept, at);
      if (at + 1 < view_.size() && view_[at + 1] == view_[at]) {  // {{ or }}
        out_.append(format_.text(), at, at + 1);
        at += 2;
      } else if (view_[at] == '}') {
        return template_error("a single '}}' in a format");
      } else {
        const size_t end = field_end(at);
        if (end == std::string_view::npos) return template_error("a '{{' without '}}' in a format");
        LLMRUN_TRY(field(view_.substr(at + 1, end - at - 1)));
        at = end + 1;
      }
      kept = at;
    }
    out_.append(format_.text(), kept, view_.size());
    return heap_.text(out_, format_.as_string().markup());
  }

 private:
  // The '}' that ends the field at `at`; a format specification may hold a nested field.
  size_t field_end(size_t at) const {
    int depth = 0;
    for (; at < view_.size(); ++at) {
      if (view_[at] == '{') ++depth;
      if (view_[at] == '}' && --depth == 0) return at;
    }
    return std::string_view::npos;
  }

  // "name.attribute[key]!r:spec"
  Result<void> field(std::string_view field) {
    const size_t mark = field.find_first_of("!:");
    const std::string_view name = field.substr(0, mark);
    char conversion = '\0';
    std::string spec_text;
    if (mark != std::string_view::npos) {
      std::string_view rest = field.substr(mark);
      if (rest[0] == '!') {
        if (rest.size() < 2) return template_error("a conversion is missing after '!'");
        conversion = rest[1];
        rest.remove_prefix(2);
      }
      if (!rest.empty()) {
        if (rest[0] != ':') return template_error("':' was expected after the conversion");
        LLMRUN_ASSIGN(spec_text, expand_spec(rest.substr(1)));
      }
    }
    LLMRUN_ASSIGN(Value value, look_up(name));
    if (conversion == 'r' || conversion == 'a') {
      LLMRUN_ASSIGN(value, repr(heap_, value));
    } else if (conversion == 's') {
      LLMRUN_ASSIGN(value, to_string(heap_, value));
    } else if (conversion != '\0') {
      return template_error("'!{}' is not a conversion", conversion);
    }
    LLMRUN_ASSIGN(const FormatSpec spec, parse_format_spec(spec_text));
    return write_formatted(heap_, out_, value, spec);
  }

  // "{:{width}}": one level of fields inside the specification.
  Result<std::string> expand_spec(std::string_view spec) {
    std::string out;
    while (!spec.empty()) {
      const size_t open = spec.find('{');
      out += spec.substr(0, open);
      if (open == std::string_view::npos) break;
      const size_t close = spec.find('}', open);
      if (close == std::string_view::npos) return template_error("a '{{' without '}}' in a format");
      LLMRUN_ASSIGN(const Value value, look_up(spec.substr(open + 1, close - open - 1)));
      LLMRUN_ASSIGN(const Value text, to_string(heap_, value));
      constexpr size_t kMaxSpec = 1000;
      if (out.size() + text.view().size() > kMaxSpec) return template_error("a format is too long");
      out += text.view();
      spec.remove_prefix(close + 1);
    }
    return out;
  }

  Result<Value> look_up(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    LLMRUN_ASSIGN(Value value, root(name.substr(0, end)));
    name.remove_prefix(end);
    while (!name.empty()) {
      LLMRUN_TRY(heap_.spend(1));
      const bool bracket = name[0] == '[';
      const size_t stop = bracket ? name.find(']') : name.find_first_of(".[", 1);
      if (bracket && stop == std::string_view::npos) return template_error("'[' without ']'");
      const std::string_view key = name.substr(1, stop == std::string_view::npos ? stop : stop - 1);
      int64_t index = 0;
      const auto number = std::from_chars(key.data(), key.data() + key.size(), index);
      Value wanted(index);
      if (!bracket || number.ec != std::errc() || number.ptr != key.data() + key.size()) {
        LLMRUN_ASSIGN(wanted, heap_.text(key, true));
      }
      LLMRUN_ASSIGN(value, subscript(heap_, value, wanted));
      if (value.is_undefined()) return template_error("{}", value.undefined_reason());
      name.remove_prefix(stop == std::string_view::npos ? name.size() : stop + (bracket ? 1 : 0));
    }
    return value;
  }

  Result<Value> root(std::string_view name) {
    size_t index = 0;
    if (name.empty()) {
      index = next_++;
    } else {
      const auto number = std::from_chars(name.data(), name.data() + name.size(), index);
      if (number.ec != std::errc() || number.ptr != name.data() + name.size()) {
        for (const auto& [known, value] : named_) {
          if (known == name) return value;
        }
        return template_error("the format has no value named '{}'", name);
      }
    }
    if (index >= positional_.size()) return template_error("not enough values for the format");
    return positional_[index];
  }

  Heap& heap_;
  const Value& format_;
  std::string_view view_;
  const std::vector<Value>& positional_;
  const NamedValues& named_;
  size_t next_ = 0;
  TextBuilder out_;
};

}  // namespace

Result<Value> format_percent(Heap& heap, const Value& format, const Value& values) {
  return PercentFormatter(heap, format, values).run();
}

Result<Value> format_braces(Heap& heap, const Value& format, const std::vector<Value>& positional,
                            const NamedValues& named) {
  return BraceFormatter(heap, format, positional, named).run();
}

}  // namespace llmrun::chat::jinja
