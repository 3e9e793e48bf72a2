// tokenizer.json to vocabularies: kinds, splitters, roles, and what is refused.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "convert/tokenizer/pre_tokenizer_names.h"
#include "convert/tokenizer/special_tokens.h"
#include "tokenizer/pre_tokenizer.h"

namespace llmrun::convert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

// As the parser gives it: numbers written in C++ are signed, those in a file are not.
Json parsed(const Json& document) { return Json::parse(document.dump()); }

Json split(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}};
}

// A byte-level tokenizer with these splitters in front of ByteLevel.
Json byte_level(const std::vector<Json>& splitters) {
  Json steps = splitters;
  steps.push_back({{"type", "ByteLevel"}, {"use_regex", splitters.empty()}});
  return parsed({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}},
                 {"model",
                  {{"type", "BPE"},
                   {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                   {"merges", Json::array({"a b"})}}}});
}

constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(PreTokenizerNames, AreFoundByTheirSteps) {
  EXPECT_EQ(name_of_pre_tokenizer(byte_level({})).value(), "gpt-2");
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  Json smollm = byte_level({digits});
  smollm["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = true;
  EXPECT_EQ(name_of_pre_tokenizer(smollm).value(), "smollm");
  Json llama3 = byte_level({split(kLlama3)});
  EXPECT_EQ(name_of_pre_tokenizer(llama3).value(), "dbrx");
  llama3["model"]["ignore_merges"] = true;
  EXPECT_EQ(name_of_pre_tokenizer(llama3).value(), "llama-bpe");
}

// A name that our own tokenizer does not know would be of no use.
TEST(PreTokenizerNames, AreKnownToTheTokenizer) {
  for (const std::string_view name : pre_tokenizer_names()) {
    EXPECT_TRUE(tokenizer::find_pre_tokenizer(name)) << name;
  }
}

TEST(PreTokenizerNames, AreNotGuessed) {
  const auto name = name_of_pre_tokenizer(byte_level({split(R"(\p{L}+|never seen)")}));
  ASSERT_FALSE(name);
  EXPECT_EQ(name.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(name.error().message, HasSubstr("never seen"));
  EXPECT_THAT(name.error().message, HasSubstr("--pre"));
  Json removing = byte_level({split(kLlama3)});
  removing["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed";
  EXPECT_FALSE(name_of_pre_tokenizer(removing));
}

TEST(BytePair, TakesTheNameThatTheUserGives) {
  const auto vocabulary =
      read_tokenizer(byte_level({split("never seen")}), {.n_tokens = 0, .pre = "qwen2"});
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  EXPECT_EQ(vocabulary->pre, "qwen2");
}

TEST(BytePair, ReadsMergesInBothForms) {
  Json tokenizer = byte_level({});
  tokenizer["model"]["merges"] = Json::array({"a b", Json::array({"ab", "a"})});
  const auto vocabulary = read_tokenizer(parsed(tokenizer), {});
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  EXPECT_EQ(vocabulary->model, "gpt2");
  EXPECT_THAT(vocabulary->merges, ElementsAre("a b", "ab a"));
  tokenizer["model"]["merges"] = Json::array({"ab"});
  EXPECT_FALSE(read_tokenizer(parsed(tokenizer), {}));
}

TEST(BytePair, RefusesANormaliserThatChangesText) {
  Json tokenizer = byte_level({});
  tokenizer["normalizer"] = {{"type", "Lowercase"}};
  const auto vocabulary = read_tokenizer(parsed(tokenizer), {});
  ASSERT_FALSE(vocabulary);
  EXPECT_THAT(vocabulary.error().message, HasSubstr("Lowercase"));
}

TEST(BytePair, FillsUpToTheRowsOfTheEmbedding) {
  const auto vocabulary = read_tokenizer(byte_level({}), {.n_tokens = 5, .pre = {}});
  ASSERT_TRUE(vocabulary);
  EXPECT_THAT(vocabulary->tokens, ElementsAre("a", "b", "ab", "[PAD3]", "[PAD4]"));
  EXPECT_EQ(vocabulary->types[4], TokenType::kUnused);
  const auto too_few = read_tokenizer(byte_level({}), {.n_tokens = 2, .pre = {}});
  ASSERT_FALSE(too_few);
  EXPECT_THAT(too_few.error().message, HasSubstr("different models"));
}

TEST(BytePair, DoesNotFillAHugeGap) {
  Json tokenizer = byte_level({});
  tokenizer["added_tokens"] = Json::array({{{"id", 8'000'000}, {"content", "<x>"}}});
  EXPECT_FALSE(read_tokenizer(parsed(tokenizer), {}));
}

TEST(Unigram, BecomesT5WithItsNormaliser) {
  const Json tokenizer = {
      {"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAECAw=="}}},
      {"pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "always"}}},
      {"added_tokens", Json::array({{{"id", 0}, {"content", "<unk>"}, {"special", true}},
                                    {{"id", 2}, {"content", "<mask>"}, {"special", true}}})},
      {"model",
       {{"type", "Unigram"},
        {"unk_id", 0},
        {"vocab", Json::array({Json::array({"<unk>", 0.0}), Json::array({"x", -1.5})})}}}};
  const auto vocabulary = read_tokenizer(parsed(tokenizer), {});
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  EXPECT_EQ(vocabulary->model, "t5");
  EXPECT_THAT(vocabulary->tokens, ElementsAre("<unk>", "x", "<mask>"));
  EXPECT_THAT(vocabulary->scores, ElementsAre(0.0F, -1.5F, 0.0F));
  EXPECT_THAT(vocabulary->types,
              ElementsAre(TokenType::kUnknown, TokenType::kNormal, TokenType::kControl));
  EXPECT_EQ(vocabulary->charsmap, std::string("\0\1\2\3", 4));
  EXPECT_EQ(vocabulary->add_space_prefix, true);
}

Config config_of(const char* text) {
  return {text == nullptr ? nullptr : parse_json(text, "test").value(), "test"};
}

TEST(SpecialTokens, ComeFromTextsThenIds) {
  Json tokenizer = byte_level({});
  tokenizer["added_tokens"] = Json::array({{{"id", 3}, {"content", "<s>"}, {"special", true}},
                                           {{"id", 4}, {"content", "</s>"}, {"special", true}},
                                           {{"id", 5}, {"content", "<end>"}, {"special", true}}});
  auto vocabulary = read_tokenizer(parsed(tokenizer), {});
  ASSERT_TRUE(vocabulary);
  const auto result = read_special_tokens(
      tokenizer,
      {config_of(R"({"bos_token":{"content":"<s>"},"add_bos_token":true})"),
       config_of(R"({"eos_token":"</s>"})"), config_of(R"({"eos_token_id":0,"pad_token_id":5})"),
       config_of(R"({"eos_token_id":[4,5]})")},
      *vocabulary);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(vocabulary->ids["bos"], 3);
  EXPECT_EQ(vocabulary->ids["eos"], 4);
  EXPECT_EQ(vocabulary->ids["eot"], 5);
  EXPECT_EQ(vocabulary->ids["padding"], 5);
  EXPECT_EQ(vocabulary->add_bos, true);
  EXPECT_EQ(vocabulary->add_eos, false);
}

TEST(SpecialTokens, AFileOfTheWrongKindIsAnError) {
  auto vocabulary = read_tokenizer(byte_level({}), {});
  ASSERT_TRUE(vocabulary);
  EXPECT_FALSE(read_special_tokens(
      byte_level({}), {config_of("[]"), config_of(nullptr), config_of(nullptr), config_of(nullptr)},
      *vocabulary));
}

}  // namespace
}  // namespace llmrun::convert
