// The normaliser that SentencePiece compiles into a model: sequences of bytes and what each
// becomes. The format is [size of the trie, 4 bytes][trie][texts that end with a zero byte]; the
// trie is a double array of 32-bit units (Yata, Morita, Fuketa and Aoe 2007, as Darts-clone lays
// it out) whose values are offsets into the texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::tokenizer {

class Charsmap {
 public:
  struct Match {
    size_t length = 0;  // bytes of the text that it replaces
    std::string_view replacement;
  };

  // An empty blob is a map without entries. kBadModel when the sizes in it make no sense.
  static Result<Charsmap> parse(std::string_view blob);

  // The longest entry that `text` has at `pos`. kBadModel when the map is damaged there.
  Result<std::optional<Match>> find(std::string_view text, size_t pos) const;

 private:
  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace llmrun::tokenizer
