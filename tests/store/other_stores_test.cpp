// Stores of other tools on this machine: models there are found in place, nothing is written, and
// what is hostile is passed over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/temporary_folder.h"
#include "store/hf_cache.h"
#include "store/paths.h"
#include "store/resolver.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const std::string kDigest(64, 'a');
const std::string kOther(64, 'b');
const std::string kCommit(40, 'c');
const std::string kNewCommit(40, 'd');

// Every variable that says where a store is, set for the test and put back after it.
class OtherStores : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"OLLAMA_MODELS", "LLAMA_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HUGGINGFACE_HUB_CACHE",
          "HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "LLMRUN_HOME", "LLMRUN_OFFLINE"}) {
      set(name, "");
    }
    set("HOME", home_.string());
  }
  void TearDown() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        setenv(name.c_str(), value->c_str(), 1);
      } else {
        unsetenv(name.c_str());
      }
    }
  }
  void set(const char* name, const std::string& value) {
    const char* old = std::getenv(name);
    before_.emplace(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    setenv(name, value.c_str(), 1);
  }
  // A file of the hub's cache, linked as its tools do.
  void cache(const std::string& repository, const std::string& commit, const std::string& path,
             const std::string& blob, const std::string& text = "GGUF") {
    const fs::path folder = hf_cache_dir() / ("models--" + repository);
    write_text(folder / "blobs" / blob, text);
    const fs::path link = folder / "snapshots" / commit / path;
    fs::create_directories(link.parent_path());
    fs::remove(link);
    fs::create_symlink(folder / "blobs" / blob, link);
    write_text(folder / "refs/main", commit + "\n");
  }

  test::TemporaryFolder temporary_;
  const fs::path home_ = temporary_.path();
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(OtherStores, OllamasModelsRunInPlace) {
  const LocalStore ollama(home_ / ".ollama/models");
  write_text(ollama.blob_path(kDigest), "GGUF");
  ASSERT_TRUE(ollama.publish(*parse_model_name("deepseek-r1:7b"), kDigest, 4));
  const auto model = find_or_fetch("DeepSeek-R1:7b", {});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->file, ollama.blob_path(kDigest));
  EXPECT_EQ(model->place, "Ollama");
  EXPECT_FALSE(fs::exists(models_dir()));
  // Our own store comes first.
  const LocalStore own(models_dir());
  write_text(own.blob_path(kOther), "GGUF");
  ASSERT_TRUE(own.publish(*parse_model_name("deepseek-r1:7b"), kOther, 4));
  EXPECT_EQ(find_or_fetch("deepseek-r1:7b", {})->file, own.blob_path(kOther));
  EXPECT_EQ(list_models().size(), 2U);
}

TEST_F(OtherStores, OllamaModelsNamesAnotherFolder) {
  const LocalStore ollama(home_ / "elsewhere");
  set("OLLAMA_MODELS", ollama.root().string());
  write_text(ollama.blob_path(kDigest), "GGUF");
  ASSERT_TRUE(ollama.publish(*parse_model_name("m:1"), kDigest, 4));
  ASSERT_EQ(list_models().size(), 1U);
  // The same folder as llmrun's own, through a link: listed once.
  fs::create_directories(data_dir());
  fs::create_directory_symlink(ollama.root(), models_dir());
  ASSERT_EQ(list_models().size(), 1U);
  EXPECT_EQ(list_models()[0].place, "llmrun");
}

TEST_F(OtherStores, CacheOfTheHubIsReadInPlace) {
  cache("U--R-GGUF", kCommit, "m-Q4_K_M.gguf", kDigest);
  cache("U--R-GGUF", kCommit, "m-Q8_0.gguf", kOther);
  cache("U--R-GGUF", kCommit, "README.md", std::string(40, 'e'));
  const auto model = find_or_fetch("hf:U/R-GGUF", {});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->name, "hf:U/R-GGUF:Q4_K_M");
  EXPECT_EQ(model->place, "Hugging Face");
  EXPECT_EQ(model->id, kDigest.substr(0, 12));
  EXPECT_EQ(fs::canonical(model->file),
            fs::canonical(hf_cache_dir() / "models--U--R-GGUF/blobs" / kDigest));
  const auto all = list_models();
  ASSERT_EQ(all.size(), 2U);
  for (const StoredModel& one : all) EXPECT_EQ(find_or_fetch(one.name, {})->file, one.file);
  // A newer commit brought one file only: the other is still found in the older snapshot.
  cache("U--R-GGUF", kNewCommit, "m-Q4_K_M.gguf", kDigest);
  EXPECT_THAT(find_or_fetch("hf:U/R-GGUF:Q4_K_M", {})->file.string(), HasSubstr(kNewCommit));
  EXPECT_THAT(find_or_fetch("hf:U/R-GGUF:Q8_0", {})->file.string(), HasSubstr(kCommit));
  EXPECT_EQ(list_models().size(), 2U);
}

TEST_F(OtherStores, EachVariableOfTheCacheIsObeyed) {
  EXPECT_EQ(hf_cache_dir(), home_ / ".cache/huggingface/hub");
  set("XDG_CACHE_HOME", "/x");
  EXPECT_EQ(hf_cache_dir(), "/x/huggingface/hub");
  set("HF_HOME", "/h");
  EXPECT_EQ(hf_cache_dir(), "/h/hub");
  set("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(hf_cache_dir(), "/old");
  set("HF_HUB_CACHE", "/new");
  EXPECT_EQ(hf_cache_dir(), "/new");
  set("LLAMA_CACHE", "/llama");
  EXPECT_EQ(hf_cache_dir(), "/llama");
}

TEST_F(OtherStores, SplitModelNeedsAllParts) {
  cache("u--r", kCommit, "m-00001-of-00002.gguf", kDigest);
  EXPECT_TRUE(list_models().empty());
  cache("u--r", kCommit, "m-00002-of-00002.gguf", kOther);
  ASSERT_EQ(list_models().size(), 1U);
  EXPECT_EQ(list_models()[0].size, 8U);
}

TEST_F(OtherStores, HostileCachesAreSkipped) {
  const fs::path root = hf_cache_dir();
  cache("u--r", kCommit, "m-Q8_0.gguf", kDigest);
  const fs::path snapshot = root / "models--u--r/snapshots" / kCommit;
  fs::create_symlink("nowhere", snapshot / "broken-Q4_K_M.gguf");
  fs::create_symlink("loop-Q4_K_M.gguf", snapshot / "loop-Q4_K_M.gguf");
  fs::create_directory_symlink("..", snapshot / "up");
  fs::create_directory_symlink(snapshot, snapshot / "dir-Q4_K_M.gguf");
  write_text(root / "models--u--r2/refs/main", "../../../../etc");
  write_text(root / "models--..--etc/refs/main", kCommit);
  write_text(root / "models--x/refs/main", kCommit);
  write_text(root / "models--u--r3/snapshots/not-a-commit/m.gguf", "GGUF");
  write_text(root / "models--file", "");
  ASSERT_EQ(list_models().size(), 1U);
  EXPECT_EQ(list_models()[0].name, "hf:u/r:Q8_0");
}

TEST_F(OtherStores, ErrorSaysWhereWasLookedAndWhatIsNear) {
  cache("u--Tiny-GGUF", kCommit, "m-Q8_0.gguf", kDigest);
  set("LLMRUN_OFFLINE", "1");
  const auto offline = find_or_fetch("hf:u/tiny-GUF:Q8_0", {});
  ASSERT_FALSE(offline);
  EXPECT_EQ(offline.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(offline.error().message, HasSubstr("hf:u/Tiny-GGUF:Q8_0"));
  EXPECT_EQ(find_or_fetch("a b", {}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(find_or_fetch("", {}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(find_or_fetch("hf:u", {}).error().code, ErrorCode::kUsage);
  EXPECT_THAT(find_or_fetch("./m", {}).error().message, HasSubstr("there is no file"));
  EXPECT_THAT(find_or_fetch("smollm2:135m", {}).error().message,
              AllOf(HasSubstr("network is not asked"), HasSubstr("llmrun's store")));
}

TEST_F(OtherStores, LinksAreMadeAsTheHubsToolsMakeThem) {
  const HfCache cache(hf_cache_dir());
  const HfName name = *parse_hf_name("hf:u/r");
  const auto blob = cache.prepare_blob(name, kDigest);
  ASSERT_TRUE(blob);
  write_text(*blob, "GGUF");
  const HfFile file{"sub/m-Q8_0.gguf", 4, kDigest};
  ASSERT_TRUE(cache.link(name, kCommit, file));
  ASSERT_TRUE(cache.link(name, kCommit, file)) << "again";
  const fs::path link = cache.folder(name) / "snapshots" / kCommit / "sub/m-Q8_0.gguf";
  EXPECT_EQ(fs::read_symlink(link), "../../../blobs/" + kDigest);
  EXPECT_EQ(fs::canonical(link), fs::canonical(*blob));
  ASSERT_TRUE(cache.publish(name, kCommit));
  EXPECT_EQ(read_text(cache.folder(name) / "refs/main"), kCommit);
  EXPECT_EQ(cache.find(name)->name, "hf:u/r:Q8_0");
  EXPECT_FALSE(cache.link(name, "../x", file));
  EXPECT_FALSE(cache.link(name, kCommit, {"../m.gguf", 4, kDigest}));
}

}  // namespace
}  // namespace llmrun::store
