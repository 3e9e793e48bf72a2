// The vocabulary against itself: texts go to tokens and back, sizes and special ids fit, and the
// pre-tokenizer is one under which the vocabulary's own tokens can come about.
#include <algorithm>
#include <array>
#include <string_view>

#include "api/checkup.h"
#include "base/error.h"
#include "tokenizer/pre_tokenizer.h"

namespace llmrun::checkup {
namespace {

constexpr std::array<std::string_view, 10> kTexts = {
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog. It's 12:45, isn't it?",
    "1234567890 3.14159 1,000,000 0x7f 2026-11-26",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];  // twice  spaced\n}\n",
    "caf\u00e9 na\u00efve \u00fcber stra\u00dfe \u0141\u00f3d\u017a",
    "\u65e5\u672c\u8a9e \u4e2d\u6587 \ud55c\uad6d\uc5b4 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 "
    "\u05e2\u05d1\u05e8\u05d9\u05ea",
    "\U0001F600 \U0001F468\u200D\U0001F469\u200D\U0001F467 \u2192 \u221a2 \u2260 \u221e",
    "line one\n\nline two\r\n\n\n   three spaces, then a tab\t.",
    "MiXeD CaSe, ALL CAPS, snake_case, kebab-case, e-mail@example.com",
    "((([[[{{{<<<>>>}}}]]]))) --- *** ... ??? !!! ;;; ::: ///"};

// Of the tokens that hold plain ASCII, the share that the right splitter may tear apart: a few in
// a hundred thousand in vocabularies that are sound, five in ten thousand and far more otherwise.
constexpr double kMostTorn = 2e-4;

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// Texts that do not come back, for tokenizers that lose nothing.
std::string check_round_trips(const tokenizer::Tokenizer& tokenizer) {
  for (const std::string_view text : kTexts) {
    const auto ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
    if (!ids) return ids.error().message;
    const auto unknown = tokenizer.special().unk;
    if (unknown && std::find(ids->begin(), ids->end(), *unknown) != ids->end()) {
      continue;  // a vocabulary that cannot spell everything; what it can spell must come back
    }
    const auto back = tokenizer.decode(*ids, true);
    if (!back) return back.error().message;
    if (*back != text) return fmt::format("\"{}\" comes back as \"{}\"", text, *back);
  }
  return {};
}

// A token that its own splitter tears apart can never come out of a text.
std::string check_pre_tokenizer(const tokenizer::Tokenizer& tokenizer) {
  const auto pre = tokenizer::find_pre_tokenizer(tokenizer.pre_name());
  if (!pre) return pre.error().message;
  int64_t n = 0;
  int64_t n_torn = 0;
  std::string example;
  for (size_t i = 0; i < tokenizer.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokenizer.type(id) != tokenizer::TokenType::kNormal) continue;
    const std::string_view text = tokenizer.piece(id);
    if (text.empty() || !is_ascii(text)) continue;
    ++n;
    int n_words = 0;
    tokenizer::split_words(**pre, text, [&n_words](std::string_view) { ++n_words; });
    if (n_words < 2) continue;
    if (n_torn++ == 0) example = text;
  }
  if (n == 0 || static_cast<double>(n_torn) <= kMostTorn * static_cast<double>(n)) return {};
  return fmt::format(
      "\"{}\" tears {} of {} tokens apart, such as \"{}\": it is not the one this "
      "vocabulary was made with",
      tokenizer.pre_name(), n_torn, n, example);
}

std::string check_ids(const ModelImpl& model) {
  const tokenizer::Tokenizer& tokenizer = *model.tokenizer;
  const auto n = static_cast<int64_t>(tokenizer.size());
  const int64_t n_rows = model.model == nullptr ? n : model.model->spec().n_vocab;
  if (n > n_rows) {
    return fmt::format("the vocabulary has {} tokens and the model {} rows for them", n, n_rows);
  }
  const tokenizer::SpecialIds& special = tokenizer.special();
  const std::array named = {std::pair{"BOS", special.bos}, std::pair{"EOS", special.eos},
                            std::pair{"EOT", special.eot}, std::pair{"PAD", special.pad},
                            std::pair{"UNK", special.unk}};
  for (const auto& [name, id] : named) {
    if (id && (*id < 0 || *id >= n)) {
      return fmt::format("{} is token {}, of {}", name, *id, n);
    }
  }
  if (tokenizer.end_of_generation_ids().empty()) return "no token ends an answer";
  return {};
}

}  // namespace

void check_tokenizer(const ModelImpl& model, Checkup& checkup) {
  if (model.tokenizer == nullptr) {
    return good(checkup, "tokenizer", "none: " + model.why_no_tokenizer);
  }
  const tokenizer::Tokenizer& tokenizer = *model.tokenizer;
  const std::string ids = check_ids(model);
  if (!ids.empty()) return fault(checkup, "vocabulary", ids);
  good(checkup, "vocabulary", fmt::format("{} tokens, special ones among them", tokenizer.size()));
  // WordPiece forgets case and accents, and Unigram normalises: theirs do not come back.
  const bool keeps_text = tokenizer.model_name() == "gpt2" || tokenizer.model_name() == "llama";
  if (keeps_text) {
    const std::string trips = check_round_trips(tokenizer);
    if (!trips.empty()) return fault(checkup, "tokenizer", trips);
    good(checkup, "tokenizer", fmt::format("{} texts come back as they were", kTexts.size()));
  }
  if (tokenizer.model_name() != "gpt2") return;
  const std::string pre = check_pre_tokenizer(tokenizer);
  if (!pre.empty()) return fault(checkup, "pre-tokenizer", pre);
  good(checkup, "pre-tokenizer",
       fmt::format("\"{}\" goes with the vocabulary", tokenizer.pre_name()));
}

}  // namespace llmrun::checkup
