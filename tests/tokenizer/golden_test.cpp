// Ids of real vocabularies equal to those of other programs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "paths.h"
#include "tokenizer/vocabularies.h"

namespace llmrun::tokenizer {
namespace {

constexpr EncodeOptions kPlain{false, false};

void expect_golden(const std::filesystem::path& path) {
  const auto tokenizer = load(path);
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<GoldenCase> cases = golden_cases(path);
  ASSERT_EQ(cases.size(), 46U) << path;
  for (const GoldenCase& golden : cases) {
    const auto ids = tokenizer->encode(golden.text, kPlain);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, golden.ids) << path.filename() << ": \"" << golden.text << "\"";
    if (tokenizer->model_name() == "bert") continue;  // loses case and spaces
    const auto text = tokenizer->decode(*ids);
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, golden.text) << path.filename();
  }
}

TEST(Golden, VocabulariesInTheRepository) {
  for (const char* name : {"llama-spm", "bert-bge", "gpt-2"}) {
    expect_golden(data_folder() / ("ggml-vocab-" + std::string(name) + ".gguf"));
  }
}

TEST(Golden, AllSharedVocabularies) {
  if (!std::filesystem::exists(shared_folder())) GTEST_SKIP() << "skipped: no ../shared";
  int vocabularies = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared_folder())) {
    if (entry.path().extension() != ".gguf") continue;
    expect_golden(entry.path());
    ++vocabularies;
  }
  EXPECT_GE(vocabularies, 8);
}

// The ids that the reference computed for real models, begin token and template text included.
TEST(Golden, RealModels) {
  const char* folder = std::getenv("LLMRUN_TEST_MODELS");
  const auto truth_folder = std::filesystem::path(tests::kSharedDir) / "golden/real";
  if (folder == nullptr) GTEST_SKIP() << "skipped: LLMRUN_TEST_MODELS names no folder of models";
  if (!std::filesystem::exists(truth_folder)) GTEST_SKIP() << "skipped: no ../shared";
  for (const char* name : {"SmolLM2-135M-Instruct.Q4_1", "gemma-3-270m-q4_k_m"}) {
    const auto model = std::filesystem::path(folder) / (std::string(name) + ".gguf");
    if (!std::filesystem::exists(model)) continue;
    const auto tokenizer = load(model);
    ASSERT_NE(tokenizer, nullptr);
    const auto truth = nlohmann::json::parse(
        read_text(truth_folder / (std::string(name) + ".truth.json")), nullptr, false);
    ASSERT_FALSE(truth.is_discarded());
    for (const auto& [prompt, expected] : truth.items()) {
      const std::string text = read_text(truth_folder / "prompts" / prompt);
      const auto ids = tokenizer->encode(text);
      ASSERT_TRUE(ids) << ids.error().message;
      EXPECT_EQ(*ids, expected["ids"].get<std::vector<TokenId>>()) << name << " " << prompt;
    }
  }
}

}  // namespace
}  // namespace llmrun::tokenizer
