// The vectors of a real model (all-MiniLM-L6-v2, converted by `llmrun convert`) against those that
// the Python package it comes from gives; made by make_embedding_reference.py.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/api_fixture.h"
#include "paths.h"

namespace llmrun {
namespace {

constexpr double kLeastCosine = 0.9999;

double cosine(std::span<const float> a, const std::vector<double>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += b[i] * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

TEST(Embedding, MiniLmAgreesWithItsPackage) {
  LLMRUN_REAL_MODEL(path, "all-MiniLM-L6-v2.gguf");
  std::ifstream file(std::string(tests::kSourceDir) + "/tests/data/embeddings/minilm.json");
  const auto reference = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(reference.is_array());
  const Model model = must(Model::open(path));
  Embedder embedder = must(Embedder::open(model));
  std::vector<std::string> texts;
  for (const auto& row : reference) texts.push_back(row["text"].get<std::string>());
  ASSERT_GE(texts.size(), 6U);
  const auto embeddings = must(embedder.embed(texts, {.truncate = true}));
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto expected = reference[i]["vector"].get<std::vector<double>>();
    ASSERT_EQ(embeddings[i].values.size(), expected.size());
    EXPECT_GT(cosine(embeddings[i].values, expected), kLeastCosine) << texts[i];
  }
}

}  // namespace
}  // namespace llmrun
