// The cache on disk: warm starts, damage, other models, and the limit of its size.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/engine.h"
#include "engine/fake_context.h"

namespace llmrun::engine {
namespace {

namespace fs = std::filesystem;

const std::atomic<bool> kNever{false};

std::vector<TokenId> text(size_t n, uint32_t seed) {
  std::vector<TokenId> tokens;
  for (uint32_t i = 0; i < n; ++i)
    tokens.push_back(static_cast<TokenId>((seed + i * i) % kMixedVocab));
  return tokens;
}

struct Kind {
  const char* name;
  FakeShape shape;
};

class OnDisk : public testing::TestWithParam<Kind> {
 protected:
  OnDisk()
      : folder_(fs::path(testing::TempDir()) /
                ("prefixes-" + std::string(GetParam().name) + "-" + std::to_string(::getpid()))) {}
  ~OnDisk() override { fs::remove_all(folder_); }

  // Asks in a process of its own, as far as the cache can tell.
  Generation ask(const std::vector<TokenId>& prompt, const std::string& key = "model",
                 uint64_t max_bytes = 1 << 30) {
    FakeContext context({.context_tokens = 1024, .batch_tokens = 100, .kept_ends = 2}, kMixedVocab,
                        mixed, GetParam().shape);
    Engine engine(context, {nullptr, kMixedVocab});
    engine.keep_on_disk({.folder = folder_,
                         .key = [key]() -> Result<std::string> { return key; },
                         .max_bytes = max_bytes});
    Request request;
    request.prompt = prompt;
    request.options.sampling.temperature = 0;
    request.options.max_tokens = 20;
    const auto answer = engine.run(std::move(request), kNever);
    EXPECT_TRUE(answer) << answer.error().message;  // the context checks every token it finds
    EXPECT_EQ(engine.store()->why_not_saved(), "");
    return answer ? *answer : Generation();
  }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(folder_)) return found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  fs::path folder_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, OnDisk,
                         testing::Values(Kind{"Plain", {}}, Kind{"Window", {.window = 70}},
                                         Kind{"Recurrent", {.is_recurrent = true}},
                                         Kind{"Both", {.window = 70, .is_recurrent = true}}),
                         [](const auto& test) { return test.param.name; });

TEST_P(OnDisk, TheSecondProcessStartsWarm) {
  const auto prompt = text(600, 1);
  const Generation first = ask(prompt);
  EXPECT_EQ(first.usage.cached, 0);
  const Generation again = ask(prompt);
  EXPECT_EQ(again.usage.cached, 599 / 64 * 64);
  EXPECT_EQ(again.tokens, first.tokens);
  // Another ending: what was read of the beginning is there. A state is where the prompt ended.
  auto other = prompt;
  other.insert(other.end(), {1, 2, 3, 4, 5});
  EXPECT_GE(ask(other).usage.cached, 599 / 64 * 64);
  other[300] = other[300] == 1 ? 2 : 1;
  const int64_t least = GetParam().shape.is_recurrent || GetParam().shape.window > 0 ? 0 : 256;
  EXPECT_EQ(ask(other).usage.cached, least);
}

TEST_P(OnDisk, OnlyTheSameModelFindsIt) {
  ask(text(600, 1));
  EXPECT_EQ(ask(text(600, 1), "another model").usage.cached, 0);
}

TEST_P(OnDisk, ShortPromptsAreNotKept) {
  ask(text(200, 1));
  EXPECT_TRUE(files().empty());
}

TEST_P(OnDisk, DamagedFilesAreNotThere) {
  const auto prompt = text(600, 1);
  const Generation first = ask(prompt);
  const std::vector<fs::path> written = files();
  ASSERT_GE(written.size(), 9U);
  for (size_t i = 0; i < written.size(); ++i) {
    SCOPED_TRACE(written[i].string());
    std::fstream file(written[i], std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(fs::file_size(written[i]));
    const std::streamoff where = static_cast<std::streamoff>(i * 37) % size;
    file.seekg(where);
    const char old = static_cast<char>(file.get());
    file.seekp(where);
    file.put(static_cast<char>(old ^ 1));
    file.close();
    EXPECT_EQ(ask(prompt).tokens, first.tokens);
    EXPECT_EQ(ask(prompt).usage.cached, 599 / 64 * 64) << "it was not written anew";
  }
  fs::resize_file(written[0], 10);
  fs::resize_file(written[1], 0);
  EXPECT_EQ(ask(prompt).tokens, first.tokens);
}

TEST_P(OnDisk, StaysWithinItsLimit) {
  const auto n_bytes = [this] {
    uint64_t total = 0;
    for (const auto& file : files()) total += fs::file_size(file);
    return total;
  };
  ask(text(600, 1));
  const uint64_t one = n_bytes();
  fs::create_directories(folder_ / "of the user");
  std::ofstream(folder_ / "of the user" / "letter.page") << std::string(100'000, 'x');
  for (uint32_t seed = 2; seed < 8; ++seed) {
    ask(text(600, seed), "model", one * 2);
    EXPECT_LE(n_bytes(), one * 2 + 100'000);
  }
  EXPECT_GT(ask(text(600, 7), "model", one * 2).usage.cached, 0);  // the youngest
  EXPECT_EQ(ask(text(600, 1), "model", one * 2).usage.cached, 0);  // the oldest
  EXPECT_TRUE(fs::exists(folder_ / "of the user" / "letter.page"));
}

TEST_P(OnDisk, AFolderThatCannotBeMadeIsToldAndNothingElse) {
  std::ofstream(folder_) << "a file";
  FakeContext context({.context_tokens = 1024, .batch_tokens = 100, .kept_ends = 2}, kMixedVocab,
                      mixed, GetParam().shape);
  Engine engine(context, {nullptr, kMixedVocab});
  engine.keep_on_disk({.folder = folder_, .key = []() -> Result<std::string> { return "model"; }});
  Request request;
  request.prompt = text(600, 1);
  request.options.max_tokens = 3;
  ASSERT_TRUE(engine.run(std::move(request), kNever));
  EXPECT_NE(engine.store()->why_not_saved(), "");
}

}  // namespace
}  // namespace llmrun::engine
