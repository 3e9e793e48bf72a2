// Holds back the beginning of a character and of a stop string.
#include "tokenizer/stream_decoder.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace llmrun::tokenizer {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, std::vector<std::string> stop_strings,
                             bool with_special)
    : tokenizer_(tokenizer), stops_(std::move(stop_strings)), with_special_(with_special) {
  stops_.erase(std::remove(stops_.begin(), stops_.end(), std::string()), stops_.end());
}

std::string StreamDecoder::push(TokenId id) {
  return push_bytes(tokenizer_.piece(id, with_special_));
}

std::string StreamDecoder::push_bytes(std::string_view bytes) {
  if (stopped_) return {};
  append_valid(bytes, false);
  return release(false);
}

std::string StreamDecoder::flush() {
  if (stopped_) return {};
  append_valid({}, true);
  return release(true);
}

// Moves what is whole to held_, invalid bytes as U+FFFD.
void StreamDecoder::append_valid(std::string_view bytes, bool at_end) {
  incomplete_.append(bytes);
  const size_t whole = at_end ? incomplete_.size() : utf8::complete_prefix(incomplete_);
  held_.append(utf8::sanitize(std::string_view(incomplete_).substr(0, whole)));
  incomplete_.erase(0, whole);
}

// The stop string that is complete first ends the text, whatever the pieces it came in; of two that
// end together, the longer. Without one, all is free up to where a stop string may have begun.
std::string StreamDecoder::release(bool at_end) {
  size_t stop_at = std::string::npos;
  size_t stop_end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t found = held_.find(stop);
    if (found == std::string::npos) continue;
    const size_t end = found + stop.size();
    if (end < stop_end || (end == stop_end && found < stop_at)) {
      stop_at = found;
      stop_end = end;
      stop_string_ = stop;
    }
  }
  if (stop_at != std::string::npos) {
    stopped_ = true;
    std::string text = held_.substr(0, stop_at);
    held_.clear();
    incomplete_.clear();
    return text;
  }
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    if (at_end) break;
    for (size_t length = std::min(stop.size() - 1, held_.size()); length > keep; --length) {
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) {
        keep = length;
        break;
      }
    }
  }
  std::string text = held_.substr(0, held_.size() - keep);
  held_.erase(0, text.size());
  return text;
}

}  // namespace llmrun::tokenizer
