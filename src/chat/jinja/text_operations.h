// What filters and methods of strings share. Inputs are string values; results keep provenance.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "chat/jinja/heap.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

enum class CaseChange : uint8_t { kUpper, kLower, kCapitalize, kTitle, kTitleFilter, kSwap };

Result<Value> change_case(Heap& heap, const Value& text, CaseChange change);
// Takes off blanks, or any of the characters of `characters` when it is a string.
Result<Value> strip(Heap& heap, const Value& text, const Value& characters, bool left, bool right);
// All occurrences, or the first `count` when it is not negative.
Result<Value> replace(Heap& heap, const Value& text, const Value& old_part, const Value& new_part,
                      int64_t count);
Result<Value> join(Heap& heap, const Value& separator, const std::vector<Value>& parts);
// Lines without their ends (or with them).
Result<std::vector<Value>> split_lines(Heap& heap, const Value& text, bool keep_ends);
// str.split and str.rsplit; no separator: at runs of blanks.
Result<Value> split(Heap& heap, const Value& text, const std::optional<Value>& separator,
                    int64_t max_splits, bool from_right);
// Fills up to `width` characters; align is < ^ or >.
Result<Value> justify(Heap& heap, const Value& text, int64_t width, const Value& fill, char align);

}  // namespace llmrun::chat::jinja
