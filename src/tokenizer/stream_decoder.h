// Token ids to text that may be printed at once: whole characters only, and never the beginning
// of something that may still turn out to be a stop string.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/message.h"

namespace llmrun::tokenizer {

class Tokenizer;

class StreamDecoder {
 public:
  // `tokenizer` must outlive the decoder. Empty stop strings are ignored.
  explicit StreamDecoder(const Tokenizer& tokenizer, std::vector<std::string> stop_strings = {},
                         bool with_special = false);

  // The text that is now certain; valid UTF-8, may be empty. After a stop string: always empty.
  std::string push(TokenId id);
  // The same for bytes that do not come from a token.
  std::string push_bytes(std::string_view bytes);
  // What was held back; a character that stays incomplete becomes U+FFFD. Empty after a stop.
  std::string flush();

  // A stop string was found; nothing of it or after it was or will be returned.
  bool stopped() const { return stopped_; }
  std::string_view stop_string() const { return stop_string_; }  // the one found, or empty

 private:
  void append_valid(std::string_view bytes, bool at_end);
  std::string release(bool at_end);

  const Tokenizer& tokenizer_;
  std::vector<std::string> stops_;
  bool with_special_;
  bool stopped_ = false;
  std::string stop_string_;
  std::string incomplete_;  // bytes of a character that is not whole yet, at most 3
  std::string held_;        // valid UTF-8 that was not returned yet
};

}  // namespace llmrun::tokenizer
