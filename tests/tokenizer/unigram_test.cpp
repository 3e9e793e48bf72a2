// Unigram vocabularies: the ids that SentencePiece gives, spelling in bytes, and damaged
// normalisers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tokenizer/charsmap.h"
#include "tokenizer/vocabularies.h"

namespace llmrun::tokenizer {
namespace {

using ::testing::HasSubstr;

constexpr EncodeOptions kPlain{false, false};

TEST(Unigram, IdsAreThoseOfSentencePiece) {
  const auto path = data_folder() / "unigram.gguf";
  const auto tokenizer = load(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<GoldenCase> cases = golden_cases(path);
  ASSERT_GE(cases.size(), 180U);
  for (const GoldenCase& golden : cases) {
    const auto ids = tokenizer->encode(golden.text, kPlain);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, golden.ids) << "\"" << golden.text << "\"";
  }
}

TEST(Unigram, BeginAndEndAndBack) {
  const auto tokenizer = load(data_folder() / "unigram.gguf");
  ASSERT_NE(tokenizer, nullptr);
  const auto ids = tokenizer->encode("The  quick \xEF\xAC\x81sh ");
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->front(), 0);
  EXPECT_EQ(ids->back(), 2);
  EXPECT_EQ(tokenizer->decode(*ids).value(), "The quick fish");
}

// "a" -1, "b" -1, "ab" -1.5, "abc" -9: the sum counts, not the length.
OwnedVocabulary tiny_unigram() {
  OwnedVocabulary v;
  v.data.model = "t5";
  v.data.add_space_prefix = false;
  v.data.special.unk = v.add("<unk>", TokenType::kUnknown);
  v.data.special.eos = v.add("</s>", TokenType::kControl);
  v.add("a", TokenType::kNormal, -1);      // 2
  v.add("b", TokenType::kNormal, -1);      // 3
  v.add("c", TokenType::kNormal, -1);      // 4
  v.add("ab", TokenType::kNormal, -1.5F);  // 5
  v.add("abc", TokenType::kNormal, -9);    // 6
  return v;
}

std::vector<TokenId> ids_of(OwnedVocabulary& v, std::string_view text) {
  const auto tokenizer = make(v);
  if (tokenizer == nullptr) return {};
  const auto ids = tokenizer->encode(text, kPlain);
  EXPECT_TRUE(ids) << (ids ? "" : ids.error().message);
  return ids.value_or(std::vector<TokenId>());
}

TEST(Unigram, TheMostProbableSpellingWins) {
  OwnedVocabulary v = tiny_unigram();
  EXPECT_EQ(ids_of(v, "ab"), (std::vector<TokenId>{5}));
  EXPECT_EQ(ids_of(v, "abc"), (std::vector<TokenId>{5, 4}));
  EXPECT_EQ(ids_of(v, "bab"), (std::vector<TokenId>{3, 5}));
}

TEST(Unigram, UnknownCharactersSideBySideAreOneToken) {
  OwnedVocabulary v = tiny_unigram();
  EXPECT_EQ(ids_of(v, "xyz"), (std::vector<TokenId>{0}));
  EXPECT_EQ(ids_of(v, "xay"), (std::vector<TokenId>{0, 2, 0}));
  EXPECT_EQ(ids_of(v, std::string(100, 'x')), (std::vector<TokenId>{0}));
}

TEST(Unigram, SpellsInBytesWhereItCan) {
  OwnedVocabulary v = tiny_unigram();
  const auto first = static_cast<TokenId>(v.tokens.size());
  for (unsigned byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    v.add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", TokenType::kByte);
  }
  EXPECT_EQ(ids_of(v, "a\xC3\xA9"), (std::vector<TokenId>{2, first + 0xC3, first + 0xA9}));
}

TEST(Unigram, ScoresThatAreNoNumbersAreNotPieces) {
  OwnedVocabulary v = tiny_unigram();
  v.scores[5] = NAN;
  v.scores[6] = INFINITY;
  EXPECT_EQ(ids_of(v, "abc"), (std::vector<TokenId>{2, 3, 4}));
}

TEST(Unigram, WhiteSpaceIsKeptWhenTheModelKeepsIt) {
  OwnedVocabulary v = tiny_unigram();
  const TokenId space = v.add("\xE2\x96\x81", TokenType::kNormal, -2);
  v.data.add_space_prefix = true;
  EXPECT_EQ(ids_of(v, "  a  "), (std::vector<TokenId>{space, 2}));
  v.data.remove_extra_whitespaces = false;
  EXPECT_EQ(ids_of(v, " a "), (std::vector<TokenId>{space, space, 2, space}));
}

TEST(Unigram, NeedsAWayToSpellEverything) {
  OwnedVocabulary v = tiny_unigram();
  v.data.special.unk.reset();
  v.types[0] = TokenType::kNormal;
  v.types[2] = TokenType::kNormal;
  const auto tokenizer = Tokenizer::create(v.view());
  ASSERT_FALSE(tokenizer);
  EXPECT_THAT(tokenizer.error().message, HasSubstr("unknown token"));
}

std::string blob(const std::vector<uint32_t>& units, std::string_view texts) {
  const auto size = static_cast<uint32_t>(units.size() * 4);
  std::string bytes(4 + size, '\0');
  std::memcpy(bytes.data(), &size, 4);
  if (size > 0) std::memcpy(bytes.data() + 4, units.data(), size);
  return bytes + std::string(texts);
}

TEST(Charsmap, SizesAreChecked) {
  EXPECT_TRUE(Charsmap::parse(""));
  for (const std::string& bad :
       {std::string("\x04"), std::string("\x08\0\0\0abc", 7), std::string("\x03\0\0\0abc", 7),
        std::string("\xFF\xFF\xFF\xFF"), std::string(4, '\0')}) {
    EXPECT_FALSE(Charsmap::parse(bad));
  }
}

// "a" becomes "xy": unit 0 leads to the child at 0 ^ 1 ^ 'a', which has its value beside it.
TEST(Charsmap, FindsAndRefusesWhatPointsOutside) {
  std::vector<uint32_t> units(256);
  units[0] = 1U << 10U;
  units[1U ^ 'a'] = 2U << 10U | 0x100U | 'a';
  units[1U ^ 'a' ^ 2U] = 0x80000000U;  // the value 0
  const auto good = Charsmap::parse(blob(units, std::string_view("xy\0", 3)));
  ASSERT_TRUE(good);
  const auto match = good->find("bab", 1);
  ASSERT_TRUE(match && *match);
  EXPECT_EQ((*match)->length, 1U);
  EXPECT_EQ((*match)->replacement, "xy");
  EXPECT_FALSE(good->find("bab", 0).value());

  const auto without_end = Charsmap::parse(blob(units, "xy"));
  ASSERT_TRUE(without_end);
  EXPECT_FALSE(without_end->find("a", 0));
  const auto too_long = Charsmap::parse(blob(units, std::string(300, 'x') + '\0'));
  ASSERT_TRUE(too_long);
  EXPECT_FALSE(too_long->find("a", 0));
  units[1U ^ 'a' ^ 2U] = 0x80000064U;  // past the texts
  EXPECT_FALSE(Charsmap::parse(blob(units, std::string_view("xy\0", 3)))->find("a", 0));
  units[1U ^ 'a'] = 0x1FFFFFU << 10U | 0x100U | 'a';  // past the units
  EXPECT_FALSE(Charsmap::parse(blob(units, std::string_view("xy\0", 3)))->find("a", 0));
}

}  // namespace
}  // namespace llmrun::tokenizer
