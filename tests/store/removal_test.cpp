// Deleting and naming: what other models need stays, and nothing goes through a link.
#include "store/removal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/sha256.h"
#include "base/temporary_folder.h"
#include "store/naming.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RemovalTest : public testing::Test {
 protected:
  static ModelName name(const std::string& text) { return parse_model_name(text).value(); }
  // Publishes a model of that content; its digest.
  std::string add(const std::string& model, const std::string& content) {
    const std::string sha256 = sha256_hex(std::as_bytes(std::span(content))).value();
    write_text(store_.blob_path(sha256), content);
    EXPECT_TRUE(store_.publish(name(model), sha256, content.size()));
    return sha256;
  }
  static void make_old(const fs::path& path) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }

  test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  LocalStore store_{folder_ / "store"};
};

TEST_F(RemovalTest, SharedBlobsStay) {
  const std::string sha256 = add("a:1", "GGUF-one");
  ASSERT_TRUE(copy_model(store_, *store_.find(name("a:1")), name("me/b:2")));
  const auto first = remove_model(store_, name("a:1"));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->freed, 0U);
  EXPECT_TRUE(fs::exists(store_.blob_path(sha256)));
  ASSERT_TRUE(remove_model(store_, name("me/b:2")));
  EXPECT_FALSE(fs::exists(store_.blob_path(sha256)));
  EXPECT_TRUE(fs::is_empty(store_.root() / "manifests"));
  EXPECT_EQ(remove_model(store_, name("a:1")).error().code, ErrorCode::kNotFound);
}

TEST_F(RemovalTest, NamesAreNotTakenOver) {
  add("a:1", "GGUF-one");
  add("b:1", "GGUF-two");
  EXPECT_EQ(copy_model(store_, *store_.find(name("a:1")), name("b:1")).error().code,
            ErrorCode::kUsage);
  EXPECT_TRUE(copy_model(store_, *store_.find(name("a:1")), name("a:1"))) << "that it is already";
}

TEST_F(RemovalTest, ImportedFilesAreLinkedAndOutliveTheirName) {
  const fs::path file = folder_ / "mine.gguf";
  write_text(file, "GGUF and the rest");
  const auto imported = import_file(store_, file, name("mine"));
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(read_text(store_.find(name("mine"))->file), "GGUF and the rest");
  EXPECT_TRUE(import_file(store_, file, name("mine"))->was_there);
  ASSERT_TRUE(remove_model(store_, name("mine")));
  EXPECT_EQ(read_text(file), "GGUF and the rest");
  write_text(folder_ / "junk", "no");
  EXPECT_EQ(import_file(store_, folder_ / "junk", name("j")).error().code, ErrorCode::kBadModel);
  write_text(folder_ / "m-00001-of-00002.gguf", "GGUF");
  EXPECT_EQ(import_file(store_, folder_ / "m-00001-of-00002.gguf", name("j")).error().code,
            ErrorCode::kUnsupported);
}

TEST_F(RemovalTest, RubbishIsWhatNoModelNeeds) {
  const std::string kept = add("a:1", "GGUF-one");
  const fs::path blobs = store_.root() / "blobs";
  const std::string orphan = "sha256-" + std::string(64, '0');
  write_text(blobs / orphan, "GGUF");
  write_text(blobs / (orphan + "-partial"), "GG");
  write_text(blobs / ("sha256-" + std::string(64, '1') + "-partial-0"), "{}");
  make_old(blobs / ("sha256-" + std::string(64, '1') + "-partial-0"));
  const auto rubbish = find_rubbish(store_);
  ASSERT_TRUE(rubbish) << rubbish.error().message;
  EXPECT_EQ(rubbish->size(), 2U) << "the young partial file stays";
  ASSERT_TRUE(remove_rubbish(store_, *rubbish));
  EXPECT_FALSE(fs::exists(blobs / orphan));
  EXPECT_TRUE(fs::exists(blobs / (orphan + "-partial")));
  EXPECT_TRUE(fs::exists(store_.blob_path(kept)));
}

TEST_F(RemovalTest, AnUnreadableManifestKeepsAllBlobs) {
  add("a:1", "GGUF-one");
  write_text(store_.manifest_path(name("broken:1")), "{\"layers\":");
  write_text(store_.root() / "blobs" / ("sha256-" + std::string(64, '0')), "GGUF");
  const auto rubbish = find_rubbish(store_);
  ASSERT_FALSE(rubbish);
  EXPECT_THAT(rubbish.error().message, HasSubstr("llmrun rm broken:1"));
  ASSERT_TRUE(remove_model(store_, name("broken:1")));
  EXPECT_EQ(find_rubbish(store_)->size(), 1U);
}

TEST_F(RemovalTest, NothingGoesThroughALinkOrInOllamasStore) {
  const std::string sha256 = add("a:1", "GGUF-one");
  setenv("OLLAMA_MODELS", store_.root().c_str(), 1);
  EXPECT_EQ(remove_model(store_, name("a:1")).error().code, ErrorCode::kUsage);
  setenv("OLLAMA_MODELS", (folder_ / "none").c_str(), 1);
  fs::rename(store_.root() / "blobs", folder_ / "real");
  fs::create_directory_symlink(folder_ / "real", store_.root() / "blobs");
  EXPECT_EQ(remove_model(store_, name("a:1")).error().code, ErrorCode::kUsage);
  EXPECT_EQ(remove_rubbish(store_, {}).error().code, ErrorCode::kUsage);
  EXPECT_TRUE(fs::exists(store_.blob_path(sha256)));
  unsetenv("OLLAMA_MODELS");
}

}  // namespace
}  // namespace llmrun::store
