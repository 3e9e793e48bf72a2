// The splitters that go before byte-level BPE: merges never cross the border between two words.
// The format names a splitter in tokenizer.ggml.pre; each stands for the regular expressions of
// the model's own tokenizer, which are written here as matchers on character classes.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::tokenizer {

// The end (> pos) of the piece that begins at `pos` (< text.size()). What an expression leaves
// unmatched between two matches is a piece too.
using SplitStage = size_t (*)(std::string_view text, size_t pos);

struct PreTokenizer {
  // Every stage splits the pieces of the stage before it; the list ends at the first null.
  std::array<SplitStage, 6> stages;
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  bool add_bos = false;        // the default where the file has no tokenizer.ggml.add_bos_token
};

// An unknown name is an error that lists the known ones. The empty name, which old files have, is
// an error as well: guessing a splitter makes a model silently worse.
Result<const PreTokenizer*> find_pre_tokenizer(std::string_view name);

// Calls sink(word) for every word of `text`, in order; the words joined are the text.
template <typename Sink>
void split_words(const PreTokenizer& pre, std::string_view text, Sink&& sink, size_t stage = 0) {
  const SplitStage next = pre.stages[stage];
  const bool last = stage + 1 == pre.stages.size() || pre.stages[stage + 1] == nullptr;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = next(text, pos);
    const std::string_view piece = text.substr(pos, end - pos);
    if (last) {
      sink(piece);
    } else {
      split_words(pre, piece, sink, stage + 1);
    }
    pos = end;
  }
}

}  // namespace llmrun::tokenizer
