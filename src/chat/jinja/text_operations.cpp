// String operations on code points; slices keep the provenance of what they show.
#include "chat/jinja/text_operations.h"

#include <algorithm>
#include <cctype>

#include "chat/jinja/operations.h"
#include "chat/jinja/unicode.h"

namespace llmrun::chat::jinja {
namespace {

// Whether a word starts after this character: str.title() counts letters, the |title filter
// splits at blanks and opening brackets.
bool starts_word(CaseChange change, uint32_t before) {
  if (change == CaseChange::kTitleFilter) {
    return is_space(before) || before == '-' || before == '(' || before == '{' || before == '[' ||
           before == '<';
  }
  return !is_upper(before) && !is_lower(before);
}

void append_changed(std::string& out, uint32_t c, CaseChange change, bool first) {
  switch (change) {
    case CaseChange::kUpper:
      append_upper(out, c);
      return;
    case CaseChange::kLower:
      append_lower(out, c);
      return;
    case CaseChange::kSwap:
      if (is_upper(c)) {
        append_lower(out, c);
      } else {
        append_upper(out, c);
      }
      return;
    case CaseChange::kTitleFilter:
      if (first) {
        append_upper(out, c);
      } else {
        append_lower(out, c);
      }
      return;
    case CaseChange::kCapitalize:
    case CaseChange::kTitle:
      if (first) {
        append_title(out, c);
      } else {
        append_lower(out, c);
      }
      return;
  }
}

bool is_one_of(uint32_t c, std::string_view characters) {
  for (size_t at = 0; at < characters.size();) {
    const CodePoint point = decode_at(characters, at);
    if (point.value == c) return true;
    at += point.bytes;
  }
  return false;
}

// Pieces are collected as views into the text and made into values at the end.
class Pieces {
 public:
  Pieces(Heap& heap, const Value& text) : heap_(heap), text_(text) {}

  Result<void> add(std::string_view piece) {
    LLMRUN_TRY(heap_.spend(1));
    LLMRUN_ASSIGN(Value value, heap_.part(text_, piece));
    values_.push_back(std::move(value));
    if (values_.size() % 1024 == 0) LLMRUN_TRY(heap_.require(values_.size() * sizeof(Value)));
    return {};
  }
  std::vector<Value> take() { return std::move(values_); }
  Result<Value> list(bool reversed) {
    if (reversed) std::reverse(values_.begin(), values_.end());
    return heap_.list(std::move(values_));
  }

 private:
  Heap& heap_;
  const Value& text_;
  std::vector<Value> values_;
};

Result<Value> split_blanks(Heap& heap, const Value& text, int64_t max_splits) {
  Pieces pieces(heap, text);
  std::string_view rest = strip_space(text.view(), true, false);
  while (!rest.empty()) {
    if (max_splits == 0) {
      LLMRUN_TRY(pieces.add(strip_space(rest, false, true)));
      break;
    }
    size_t end = 0;
    while (end < rest.size() && !is_space(decode_at(rest, end).value)) {
      end += decode_at(rest, end).bytes;
    }
    LLMRUN_TRY(pieces.add(rest.substr(0, end)));
    rest = strip_space(rest.substr(end), true, false);
    --max_splits;
  }
  return pieces.list(false);
}

Result<Value> split_blanks_right(Heap& heap, const Value& text, int64_t max_splits) {
  Pieces pieces(heap, text);
  std::string_view rest = strip_space(text.view(), false, true);
  while (!rest.empty()) {
    if (max_splits == 0) {
      LLMRUN_TRY(pieces.add(strip_space(rest, true, false)));
      break;
    }
    size_t begin = rest.size();
    while (begin > 0 && !is_space(decode_before(rest, begin).value)) {
      begin -= decode_before(rest, begin).bytes;
    }
    LLMRUN_TRY(pieces.add(rest.substr(begin)));
    rest = strip_space(rest.substr(0, begin), false, true);
    --max_splits;
  }
  return pieces.list(true);
}

Result<Value> split_right(Heap& heap, const Value& text, std::string_view separator,
                          int64_t max_splits) {
  Pieces pieces(heap, text);
  std::string_view rest = text.view();
  while (max_splits != 0) {
    LLMRUN_TRY(heap.spend_bytes(separator.size()));
    const size_t found = rest.rfind(separator);
    if (found == std::string_view::npos) break;
    LLMRUN_TRY(pieces.add(rest.substr(found + separator.size())));
    rest = rest.substr(0, found);
    --max_splits;
  }
  LLMRUN_TRY(pieces.add(rest));
  return pieces.list(true);
}

}  // namespace

Result<Value> change_case(Heap& heap, const Value& text, CaseChange change) {
  const std::string_view view = text.view();
  LLMRUN_TRY(heap.spend_bytes(view.size() * 4));
  TextBuilder out = heap.builder();
  bool first = true;
  std::string changed;
  bool trusted = true;
  for (size_t at = 0; at < view.size();) {
    const CodePoint point = decode_at(view, at);
    const bool here = text.text().trusted_at(at);
    if (here != trusted || changed.size() > 4096) {
      out.append(changed, trusted);
      changed.clear();
      trusted = here;
    }
    if (point.value == CodePoint::kInvalid) {
      changed += view[at];
    } else {
      append_changed(changed, point.value, change, first);
    }
    const bool titles = change == CaseChange::kTitle || change == CaseChange::kTitleFilter;
    first = titles && starts_word(change, point.value);
    at += point.bytes;
  }
  out.append(changed, trusted);
  return heap.text(out, text.as_string().markup());
}

Result<Value> strip(Heap& heap, const Value& text, const Value& characters, bool left, bool right) {
  std::string_view view = text.view();
  if (!characters.is_string()) return heap.part(text, strip_space(view, left, right));
  const std::string_view wanted = characters.view();
  LLMRUN_TRY(heap.spend_bytes(wanted.size() + view.size()));
  while (left && !view.empty()) {
    LLMRUN_TRY(heap.spend_bytes(wanted.size()));
    const CodePoint point = decode_at(view, 0);
    if (!is_one_of(point.value, wanted)) break;
    view.remove_prefix(point.bytes);
  }
  while (right && !view.empty()) {
    LLMRUN_TRY(heap.spend_bytes(wanted.size()));
    const CodePoint point = decode_before(view, view.size());
    if (!is_one_of(point.value, wanted)) break;
    view.remove_suffix(point.bytes);
  }
  return heap.part(text, view);
}

Result<Value> replace(Heap& heap, const Value& text, const Value& old_part, const Value& new_part,
                      int64_t count) {
  const std::string_view view = text.view();
  const std::string_view wanted = old_part.view();
  LLMRUN_TRY(heap.spend_bytes(view.size()));
  TextBuilder out = heap.builder();
  size_t kept = 0;
  size_t at = 0;
  while (count != 0 && at <= view.size() && !out.overflow()) {
    const size_t found = find_bytes(view, wanted, at);
    if (found == std::string_view::npos) break;
    LLMRUN_TRY(heap.spend(1));
    LLMRUN_TRY(heap.spend_bytes(new_part.view().size()));
    out.append(text.text(), kept, found);
    out.append(new_part.text());
    kept = found + wanted.size();
    // An empty pattern matches before every character and at the end.
    at = !wanted.empty()       ? kept
         : found < view.size() ? found + decode_at(view, found).bytes
                               : view.size() + 1;
    if (count > 0) --count;
  }
  out.append(text.text(), kept, view.size());
  return heap.text(out, text.as_string().markup());
}

Result<Value> join(Heap& heap, const Value& separator, const std::vector<Value>& parts) {
  TextBuilder out = heap.builder();
  for (size_t i = 0; i < parts.size(); ++i) {
    LLMRUN_TRY(heap.spend(1));
    if (i > 0) out.append(separator.text());
    LLMRUN_TRY(heap.spend_bytes(separator.text().size()));
    LLMRUN_TRY(write_string(heap, out, parts[i]));
  }
  return heap.text(out, separator.as_string().markup());
}

Result<std::vector<Value>> split_lines(Heap& heap, const Value& text, bool keep_ends) {
  Pieces pieces(heap, text);
  const std::string_view view = text.view();
  LLMRUN_TRY(heap.spend_bytes(view.size()));
  size_t begin = 0;
  for (size_t at = 0; at < view.size();) {
    const CodePoint point = decode_at(view, at);
    size_t end = at + point.bytes;
    if (is_line_break(point.value)) {
      if (point.value == '\r' && end < view.size() && view[end] == '\n') ++end;
      LLMRUN_TRY(pieces.add(view.substr(begin, (keep_ends ? end : at) - begin)));
      begin = end;
    }
    at = end;
  }
  if (begin < view.size()) LLMRUN_TRY(pieces.add(view.substr(begin)));
  return pieces.take();
}

Result<Value> split(Heap& heap, const Value& text, const std::optional<Value>& separator,
                    int64_t max_splits, bool from_right) {
  LLMRUN_TRY(heap.spend_bytes(text.text().size()));
  if (!separator) {
    return from_right ? split_blanks_right(heap, text, max_splits)
                      : split_blanks(heap, text, max_splits);
  }
  const std::string_view wanted = separator->view();
  if (wanted.empty()) return template_error("split() needs a separator that is not empty");
  if (from_right) return split_right(heap, text, wanted, max_splits);
  Pieces pieces(heap, text);
  size_t begin = 0;
  while (max_splits != 0) {
    const size_t found = find_bytes(text.view(), wanted, begin);
    if (found == std::string_view::npos) break;
    LLMRUN_TRY(pieces.add(text.view().substr(begin, found - begin)));
    begin = found + wanted.size();
    --max_splits;
  }
  LLMRUN_TRY(pieces.add(text.view().substr(begin)));
  return pieces.list(false);
}

Result<Value> justify(Heap& heap, const Value& text, int64_t width, const Value& fill, char align) {
  if (fill.as_string().length() != 1) return template_error("the fill must be one character");
  const auto size = static_cast<int64_t>(text.as_string().length());
  if (width <= size) return text;
  const int64_t pad = width - size;
  // str.center puts the odd blank on the left when the width is odd.
  const int64_t centered = pad / 2 + (pad & width & 1);
  const int64_t left = align == '<' ? 0 : align == '>' ? pad : centered;
  LLMRUN_TRY(heap.require(static_cast<uint64_t>(pad)));
  LLMRUN_TRY(heap.spend_bytes(static_cast<uint64_t>(pad)));
  TextBuilder out = heap.builder();
  for (int64_t i = 0; i < left; ++i) out.append(fill.text());
  out.append(text.text());
  for (int64_t i = left; i < pad; ++i) out.append(fill.text());
  return heap.text(out, text.as_string().markup());
}

}  // namespace llmrun::chat::jinja
