// How far our logits are from the truth (all weights and arithmetic in F32), against how far the
// best-known engine is on the same quantised files: mean |difference of the negative
// log-likelihood| per token, and how often the best token is the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/api_fixture.h"
#include "llmrun/tools.h"
#include "paths.h"

namespace llmrun {
namespace {

using Json = nlohmann::json;

struct Position {
  double nll = 0;  // of the next token; the last position has none
  TokenId best = 0;
};

// The reference's numbers for one text.
std::vector<Position> positions(const Json& text) {
  std::vector<Position> result;
  for (const Json& row : text["top16"]) result.push_back({0, row[0][0].get<TokenId>()});
  for (size_t i = 0; i < text["nll"].size() && i < result.size(); ++i) {
    result[i].nll = text["nll"][i].get<double>();
  }
  return result;
}

std::vector<Position> positions(Session& session, const std::vector<TokenId>& ids) {
  std::vector<Position> result;
  must(session.logits(
      ids, [&](int64_t first, int64_t n_rows, std::span<const float> rows) -> Result<void> {
        const size_t n_vocab = rows.size() / static_cast<size_t>(n_rows);
        for (int64_t i = 0; i < n_rows; ++i) {
          const auto row = rows.subspan(static_cast<size_t>(i) * n_vocab, n_vocab);
          const auto best = std::max_element(row.begin(), row.end());
          double sum = 0;
          for (const float x : row) sum += std::exp(static_cast<double>(x) - *best);
          Position position{0, static_cast<TokenId>(best - row.begin())};
          const auto next = static_cast<size_t>(first + i) + 1;
          if (next < ids.size()) {
            position.nll = *best + std::log(sum) - row[static_cast<size_t>(ids[next])];
          }
          result.push_back(position);
        }
        return {};
      }));
  return result;
}

struct Distance {
  double difference = 0;  // sum over the tokens
  int64_t n_tokens = 0;
  int64_t n_same = 0;
  int64_t n_positions = 0;

  void add(const std::vector<Position>& truth, const std::vector<Position>& other) {
    ASSERT_EQ(truth.size(), other.size());
    for (size_t i = 0; i < truth.size(); ++i) {
      n_same += truth[i].best == other[i].best;
      ++n_positions;
      if (i + 1 == truth.size()) continue;  // the last has no next token
      difference += std::abs(truth[i].nll - other[i].nll);
      ++n_tokens;
    }
  }
  [[nodiscard]] double mean() const { return difference / static_cast<double>(n_tokens); }
  [[nodiscard]] double agreement() const {
    return static_cast<double>(n_same) / static_cast<double>(n_positions);
  }
};

Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Json::parse(file, nullptr, false);
}

// A CPU target and the name of a model without its ending.
using Case = std::tuple<std::string, std::string>;
class Accuracy : public testing::TestWithParam<Case> {};

TEST_P(Accuracy, IsNotFurtherFromTheTruthThanThePeer) {
  const auto& [target, name] = GetParam();
  LLMRUN_REAL_MODEL(path, name + ".gguf");
  const auto folder = std::filesystem::path(tests::kSharedDir) / "golden/real";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "skipped: no ../shared";
  const Json truth = read_json(folder / (name + ".truth.json"));
  const Json peer = read_json(folder / (name + ".llamacpp.json"));
  ASSERT_TRUE(truth.is_object() && peer.is_object());

  LoadOptions load;
  load.cpu_target = target;
  for (const CpuTargetInfo& info : describe_machine().targets) {
    if (info.name == target && !info.available) {
      GTEST_SKIP() << "skipped: this machine lacks " << info.missing;
    }
  }
  const Model model = must(Model::open(path, load));
  ContextOptions options;
  options.context_tokens = 1024;
  options.logits_rows = 64;
  Session session = must(model.new_session(options));
  Distance ours;
  Distance theirs;
  for (const auto& [text, expected] : truth.items()) {
    const auto ids = expected["ids"].get<std::vector<TokenId>>();
    const auto wanted = positions(expected);
    Distance one;
    Distance other;
    const auto got = positions(session, ids);
    for (Distance* distance : {&ours, &one}) distance->add(wanted, got);
    for (Distance* distance : {&theirs, &other}) distance->add(wanted, positions(peer[text]));
    std::printf("%-18s %4zu tokens  |dNLL| %.5f (llama.cpp %.5f)  top-1 %.4f (%.4f)\n",
                text.c_str(), ids.size(), one.mean(), other.mean(), one.agreement(),
                other.agreement());
  }
  std::printf("%-18s              |dNLL| %.5f (llama.cpp %.5f)  top-1 %.4f (%.4f)\n", "all",
              ours.mean(), theirs.mean(), ours.agreement(), theirs.agreement());
  EXPECT_LE(ours.mean(), theirs.mean());
  EXPECT_GE(ours.agreement(), theirs.agreement());
}

std::vector<std::string> all_targets() {
  std::vector<std::string> names;
  for (const CpuTargetInfo& info : describe_machine().targets) names.push_back(info.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(AllTargets, Accuracy,
                         testing::Combine(testing::ValuesIn(all_targets()),
                                          testing::Values("SmolLM2-135M-Instruct.Q4_1",
                                                          "gemma-3-270m-q4_k_m")),
                         [](const testing::TestParamInfo<Case>& tested) {
                           return std::get<0>(tested.param) +
                                  (std::get<1>(tested.param)[0] == 'S' ? "_SmolLm2" : "_Gemma3");
                         });

// The texts give the token ids that the references were computed on.
TEST(AccuracyTexts, TokensAreThoseOfTheReference) {
  const auto folder = std::filesystem::path(tests::kSharedDir) / "golden/real";
  for (const std::string name : {"SmolLM2-135M-Instruct.Q4_1", "gemma-3-270m-q4_k_m"}) {
    LLMRUN_REAL_MODEL(path, name + ".gguf");
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "skipped: no ../shared";
    const Model model = must(Model::open_vocabulary(path));
    const Json truth = read_json(folder / (name + ".truth.json"));
    for (const auto& [text, expected] : truth.items()) {
      std::ifstream file(folder / "prompts" / text);
      const std::string content((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
      EXPECT_EQ(must(model.tokenize(content, {.add_special = true, .parse_special = true})),
                expected["ids"].get<std::vector<TokenId>>())
          << name << ": " << text;
    }
  }
}

}  // namespace
}  // namespace llmrun
