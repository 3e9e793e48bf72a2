// The local store: what is published is found, and nothing else is.
#include "store/local_store.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

const std::string kDigest(64, 'a');

ModelName name(const char* text) { return *parse_model_name(text); }

TEST(LocalStore, EmptyWhenTheFolderIsNotThere) {
  const LocalStore store("/nonexistent/llmrun");
  EXPECT_TRUE(store.list().empty());
  EXPECT_FALSE(store.find(name("a:b")));
}

TEST(LocalStore, FindsWhatWasPublished) {
  const test::TemporaryFolder folder;
  const std::filesystem::path root = folder.path();
  const LocalStore store(root);
  write_text(store.blob_path(kDigest), "GGUF");
  ASSERT_TRUE(store.publish(name("tiny:1b"), kDigest, 4));
  const auto model = store.find(name("Tiny:1B"));
  ASSERT_TRUE(model);
  EXPECT_EQ(model->name, "tiny:1b");
  EXPECT_EQ(model->file, store.blob_path(kDigest));
  EXPECT_EQ(model->size, 4U);
  EXPECT_EQ(model->id.size(), 12U);
  EXPECT_GT(model->modified, 1'500'000'000);
  EXPECT_TRUE(store.find(name("tiny")));  // the only tag
  ASSERT_TRUE(store.publish(name("tiny:2b"), kDigest, 4));
  EXPECT_FALSE(store.find(name("tiny")));  // which one is not said
  EXPECT_EQ(store.list().size(), 2U);
}

TEST(LocalStore, NamesOfOtherHostsAreToldApart) {
  const test::TemporaryFolder folder;
  const LocalStore store(folder.path(), "Ollama");
  write_text(store.blob_path(kDigest), "GGUF");
  for (const char* text :
       {"tiny:1b", "hf.co/User/Tiny-GGUF:Q4_K_M", "localhost:5000/library/tiny:1b"}) {
    ASSERT_TRUE(store.publish(name(text), kDigest, 4)) << text;
  }
  ModelName of_catalogue = name("tiny:1b");
  of_catalogue.host = kCatalogHost;
  ASSERT_TRUE(store.publish(of_catalogue, kDigest, 4));
  const auto manifest = [&](const char* text) { return store.find(name(text)).value().manifest; };
  EXPECT_EQ(manifest("tiny:1b"), store.root() / "manifests/registry.ollama.ai/library/tiny/1b");
  EXPECT_EQ(manifest("localhost:5000/library/tiny"),
            store.root() / "manifests/localhost:5000/library/tiny/1b");
  EXPECT_EQ(manifest("HF.co/user/tiny-gguf:q4_k_m"),
            store.root() / "manifests/hf.co/User/Tiny-GGUF/Q4_K_M");
  EXPECT_FALSE(store.find(name("user/tiny:1b")));
  EXPECT_FALSE(store.find(name("other.example/library/tiny:1b")));
  std::filesystem::remove_all(store.root() / "manifests/registry.ollama.ai");
  EXPECT_EQ(manifest("tiny:1b"), store.root() / "manifests/catalog/library/tiny/1b");
  EXPECT_EQ(store.find(name("tiny:1b"))->place, "Ollama");
}

TEST(LocalStore, OlderBlobNamesAreFound) {
  const test::TemporaryFolder folder;
  const LocalStore store(folder.path());
  ASSERT_TRUE(store.publish(name("tiny:1b"), kDigest, 4));
  write_text(store.root() / "blobs" / ("sha256:" + kDigest), "GGUF");
  ASSERT_TRUE(store.find(name("tiny:1b")));
}

TEST(LocalStore, OnlyFilesFourFoldersDeepAreManifests) {
  const test::TemporaryFolder folder;
  const LocalStore store(folder.path());
  write_text(store.blob_path(kDigest), "GGUF");
  ASSERT_TRUE(store.publish(name("tiny:1b"), kDigest, 4));
  const auto manifest = store.manifest_path(name("tiny:1b"));
  const std::string text = read_text(manifest);
  const auto manifests = store.root() / "manifests";
  write_text(manifests / "h/n/m", text);
  write_text(manifests / "h/n/m2/t/u", text);
  write_text(manifests / "h/n/m3/.hidden", text);
  write_text(manifests / "h/n/.tmp/t", text);
  std::filesystem::create_directory_symlink(manifests, manifests / "h/loop");
  EXPECT_EQ(store.list().size(), 1U);
}

TEST(LocalStore, ModelWithoutItsBlobIsNotThere) {
  const test::TemporaryFolder folder;
  const std::filesystem::path root = folder.path();
  const LocalStore store(root);
  ASSERT_TRUE(store.publish(name("tiny:1b"), kDigest, 4));
  EXPECT_FALSE(store.find(name("tiny:1b")));
  EXPECT_TRUE(store.list().empty());
}

TEST(LocalStore, HostileManifestsAreIgnored) {
  const test::TemporaryFolder folder;
  const std::filesystem::path root = folder.path();
  const LocalStore store(root);
  write_text(root / "secret", "GGUF");
  const auto manifest = root / "manifests/catalog/library/m/t";
  const std::string type = R"("mediaType":"application/vnd.ollama.image.model")";
  for (const std::string& text :
       {std::string(""), std::string("[]"), std::string("{\"layers\":3}"),
        std::string("{\"layers\":[1,null]}"), "{\"layers\":[{" + type + "}]}",
        "{\"layers\":[{" + type + ",\"digest\":7}]}",
        "{\"layers\":[{" + type + ",\"digest\":\"sha256:../secret\"}]}", std::string(1000, '[')}) {
    write_text(manifest, text);
    EXPECT_FALSE(store.find(name("m:t"))) << text;
    EXPECT_TRUE(store.list().empty()) << text;
  }
}

}  // namespace
}  // namespace llmrun::store
