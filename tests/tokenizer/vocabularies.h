// Vocabularies for tests: the real ones in tests/data and ../shared, and small ones made by hand.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gguf/reader.h"
#include "paths.h"
#include "tokenizer/tokenizer.h"

namespace llmrun::tokenizer {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::filesystem::path data_folder() {
  return std::filesystem::path(tests::kSourceDir) / "tests/data/tokenizers";
}

inline std::filesystem::path shared_folder() {
  return std::filesystem::path(tests::kSharedDir) / "golden/tokenizers";
}

// A failed load fails the test and returns null.
inline std::unique_ptr<Tokenizer> load(const std::filesystem::path& path) {
  const auto file = gguf::File::open(path.string());
  if (!file) {
    ADD_FAILURE() << path << ": " << file.error().message;
    return nullptr;
  }
  const auto data = read_vocabulary(file->metadata());
  if (!data) {
    ADD_FAILURE() << path << ": " << data.error().message;
    return nullptr;
  }
  auto tokenizer = Tokenizer::create(*data);
  if (!tokenizer) {
    ADD_FAILURE() << path << ": " << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

// The texts and ids of NAME.inp and NAME.out.
struct GoldenCase {
  std::string text;
  std::vector<TokenId> ids;
};

inline std::vector<GoldenCase> golden_cases(const std::filesystem::path& vocabulary) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  const std::string input = read_text(vocabulary.string() + ".inp");
  std::istringstream output(read_text(vocabulary.string() + ".out"));
  std::vector<GoldenCase> cases;
  for (size_t pos = 0; pos <= input.size();) {
    const size_t end = std::min(input.find(kSeparator, pos), input.size());
    std::string line;
    if (!std::getline(output, line)) break;
    GoldenCase golden{input.substr(pos, end - pos), {}};
    std::istringstream ids(line);
    for (TokenId id = 0; ids >> id;) golden.ids.push_back(id);
    cases.push_back(std::move(golden));
    pos = end + kSeparator.size();
  }
  return cases;
}

// The byte-level alphabet of GPT-2 for one byte, as UTF-8.
inline std::string in_byte_alphabet(unsigned byte) {
  const auto is_plain = [](unsigned b) {
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
  };
  unsigned code = byte;
  if (!is_plain(byte)) {
    code = 0x100;
    for (unsigned b = 0; b < byte; ++b) code += is_plain(b) ? 0 : 1;
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// Owns the texts that VocabularyData only views.
struct OwnedVocabulary {
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::vector<float> scores;
  std::vector<std::string> merges;
  VocabularyData data;

  TokenId add(std::string text, TokenType type = TokenType::kNormal, float score = 0) {
    tokens.push_back(std::move(text));
    types.push_back(type);
    scores.push_back(score);
    return static_cast<TokenId>(tokens.size() - 1);
  }
  const VocabularyData& view() {
    data.tokens.assign(tokens.begin(), tokens.end());
    data.types = types;
    data.merges.assign(merges.begin(), merges.end());
    if (data.model != "gpt2") data.scores = scores;
    return data;
  }
};

// All bytes, the merges that make " the", "lo" and "low", and some special tokens.
inline OwnedVocabulary tiny_byte_pair() {
  OwnedVocabulary v;
  v.data.model = "gpt2";
  v.data.pre = "gpt-2";
  for (unsigned byte = 0; byte < 256; ++byte) v.add(in_byte_alphabet(byte));
  const std::pair<std::string, std::string> merges[] = {
      {"t", "h"}, {"th", "e"}, {"\xC4\xA0", "the"}, {"l", "o"}, {"lo", "w"}};
  for (const auto& [left, right] : merges) {
    v.add(left + right);
    v.merges.push_back(left + " " + right);
  }
  v.data.special.bos = v.add("<|begin|>", TokenType::kControl);
  v.data.special.eos = v.add("<|im_end|>", TokenType::kControl);
  v.add("<|im_start|>", TokenType::kControl);
  v.add("<tool>", TokenType::kUserDefined);
  v.add("<|user|>", TokenType::kUserDefined);
  return v;
}

// Bytes, some characters, "ab", "abc", " a", and the usual special tokens.
inline OwnedVocabulary tiny_sentence_piece() {
  OwnedVocabulary v;
  v.data.model = "llama";
  v.data.pre = "default";
  v.data.special.unk = v.add("<unk>", TokenType::kUnknown);
  v.data.special.bos = v.add("<s>", TokenType::kControl);
  v.data.special.eos = v.add("</s>", TokenType::kControl);
  for (unsigned byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    v.add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", TokenType::kByte);
  }
  const std::string mark = "\xE2\x96\x81";
  v.add(mark, TokenType::kNormal, -10);
  v.add("a", TokenType::kNormal, -11);
  v.add("b", TokenType::kNormal, -12);
  v.add("c", TokenType::kNormal, -13);
  v.add("ab", TokenType::kNormal, -2);
  v.add(mark + "a", TokenType::kNormal, -1);
  v.add("bc", TokenType::kNormal, -3);
  v.add("abc", TokenType::kNormal, -4);
  v.add("<", TokenType::kNormal, -20);
  v.add("s", TokenType::kNormal, -20);
  v.add(">", TokenType::kNormal, -20);
  v.add("<s", TokenType::kNormal, -20);
  return v;
}

inline std::unique_ptr<Tokenizer> make(OwnedVocabulary& vocabulary) {
  auto tokenizer = Tokenizer::create(vocabulary.view());
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

}  // namespace llmrun::tokenizer
