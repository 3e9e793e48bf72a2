// No text makes a tokenizer quadratic: a megabyte of the same character, or of any other pattern
// that makes long words, is encoded in time. Quadratic would be hours; the bound is generous so
// that sanitizers and busy machines pass.
#include <gtest/gtest.h>

#include <chrono>

#include "tokenizer/vocabularies.h"

namespace llmrun::tokenizer {
namespace {

void expect_linear(const Tokenizer& tokenizer, size_t size = 1000000) {
  constexpr auto kBound = std::chrono::seconds(20);
  constexpr std::string_view kPatterns[] = {"a",
                                            " ",
                                            "\n",
                                            "\xF0\x9F\x98\x80",
                                            "\xE4\xB8\xAD",
                                            "7",
                                            "!",
                                            "\xFF",
                                            "\xCC\x81",
                                            "ab",
                                            "\xC2\xA0",
                                            "'",
                                            " \n",
                                            "<|",
                                            "<",
                                            "\xE2\x96\x81"};
  for (const std::string_view pattern : kPatterns) {
    std::string text;
    while (text.size() < size) text += pattern;
    const auto begin = std::chrono::steady_clock::now();
    const auto ids = tokenizer.encode(text);
    const auto time = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_LT(time, kBound) << tokenizer.model_name() << " \"" << pattern << "\"";
  }
}

TEST(LinearTime, BytePair) {
  const auto tokenizer = load(data_folder() / "ggml-vocab-gpt-2.gguf");
  ASSERT_NE(tokenizer, nullptr);
  expect_linear(*tokenizer);
}

TEST(LinearTime, EverySplitter) {
  for (const char* pre : {"default", "llama-bpe", "qwen35", "gpt-4o", "tekken", "kimi-k2",
                          "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "viking",
                          "superbpe", "jais-2", "tiny_aya", "exaone-moe", "laguna", "minicpm5"}) {
    OwnedVocabulary v = tiny_byte_pair();
    v.data.pre = pre;
    const auto tokenizer = make(v);
    ASSERT_NE(tokenizer, nullptr);
    expect_linear(*tokenizer, 200000);
  }
}

TEST(LinearTime, SentencePiece) {
  const auto tokenizer = load(data_folder() / "ggml-vocab-llama-spm.gguf");
  ASSERT_NE(tokenizer, nullptr);
  expect_linear(*tokenizer);
}

TEST(LinearTime, Unigram) {
  const auto tokenizer = load(data_folder() / "unigram.gguf");
  ASSERT_NE(tokenizer, nullptr);
  expect_linear(*tokenizer);
}

TEST(LinearTime, WordPiece) {
  const auto tokenizer = load(data_folder() / "ggml-vocab-bert-bge.gguf");
  ASSERT_NE(tokenizer, nullptr);
  expect_linear(*tokenizer);
}

}  // namespace
}  // namespace llmrun::tokenizer
