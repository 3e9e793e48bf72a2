// Pulling from a registry that a test plays: order, tokens, refusals, what is shared.
#include "store/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/sha256.h"
#include "base/temporary_folder.h"
#include "store/registry_token.h"
#include "test_server.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using test::ServedRequest;
using test::ServedResponse;
using test::TestServer;
using testing::HasSubstr;

std::string digest_of(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text))).value();
}

class PullTest : public testing::Test {
 protected:
  PullTest()
      : server_([this](const ServedRequest& request) { return answer(request); }),
        name_(parse_model_name(server_.url("/library/tiny:1b")).value()) {}

  void add(LayerKind kind, const std::string& content) {
    const std::string sha256 = digest_of(content);
    blobs_["/v2/library/tiny/blobs/sha256:" + sha256] = content;
    layers_.push_back({kind, media_type_of(kind), sha256, content.size()});
  }
  void publish(const std::string& config = R"({"model_format":"gguf"})") {
    const std::string sha256 = digest_of(config);
    blobs_["/v2/library/tiny/blobs/sha256:" + sha256] = config;
    manifest_ = write_manifest(
        {LayerKind::kConfig, media_type_of(LayerKind::kConfig), sha256, config.size()}, layers_);
  }
  ServedResponse answer(const ServedRequest& request) {
    if (wants_token_ && request.target.starts_with("/token")) {
      return {.body = R"({"token":"t1"})"};
    }
    if (wants_token_ && request.headers.count("authorization") == 0) {
      return {
          401,
          {{"WWW-Authenticate", "Bearer realm=\"" + server_.url("/token") +
                                    "\",service=\"s\",scope=\"repository:library/tiny:pull\""}}};
    }
    if (request.target == "/v2/library/tiny/manifests/1b") return {.body = manifest_};
    const auto blob = blobs_.find(request.target);
    if (blob == blobs_.end()) return {.status = 404};
    return serve_file(request, blob->second);
  }
  Result<StoredModel> pull(const PullOptions& options = {}) {
    return pull_from_registry(client_, name_, store_, options);
  }

  test::TemporaryFolder temporary_;
  LocalStore store_{fs::path(temporary_.path()) / "store"};
  std::map<std::string, std::string> blobs_;
  std::vector<Layer> layers_;
  std::string manifest_;
  bool wants_token_ = false;
  HttpClient client_;
  TestServer server_;
  ModelName name_;
};

TEST_F(PullTest, BringsEverythingAndTheManifestAsItIs) {
  add(LayerKind::kModel, "GGUF-weights");
  add(LayerKind::kParams, R"({"temperature":0.5})");
  add(LayerKind::kLicense, "free");
  publish();
  manifest_ += "\n ";  // any byte counts
  wants_token_ = true;
  uint64_t asked = 0;
  const auto model = pull({.approve = [&](const std::string&, uint64_t bytes) {
    asked = bytes;
    return Result<void>();
  }});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(read_text(model->file), "GGUF-weights");
  EXPECT_EQ(read_text(model->manifest), manifest_);
  EXPECT_EQ(model->id, digest_of(manifest_).substr(0, 12));
  EXPECT_EQ(asked, 12U + 19U + 4U);
  for (const ServedRequest& request : server_.requests()) {
    if (!request.target.starts_with("/token")) continue;
    EXPECT_EQ(request.target, "/token?service=s&scope=repository%3Alibrary%2Ftiny%3Apull");
  }
  const size_t n_requests = server_.requests().size();
  ASSERT_TRUE(pull());
  EXPECT_LE(server_.requests().size(), n_requests + 4) << "only the manifest and the config again";
}

TEST_F(PullTest, NothingIsVisibleBeforeAllIsThere) {
  add(LayerKind::kModel, "GGUF-weights");
  add(LayerKind::kTemplate, "{{ .Prompt }}");
  publish();
  blobs_.erase("/v2/library/tiny/blobs/" + layers_[1].digest());
  const auto model = pull();
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(store_.list().empty());
  EXPECT_TRUE(fs::exists(store_.blob_path(layers_[0].sha256))) << "what came whole is kept";
}

TEST_F(PullTest, RefusesWithoutFetching) {
  add(LayerKind::kModel, "GGUF-weights");
  publish(R"({"model_format":"safetensors"})");
  EXPECT_EQ(pull().error().code, ErrorCode::kUnsupported);
  publish();
  const auto declined = pull({.approve = [](const std::string&, uint64_t) -> Result<void> {
    return make_error(ErrorCode::kInterrupted, "no");
  }});
  EXPECT_EQ(declined.error().code, ErrorCode::kInterrupted);
  manifest_ = "<html>";
  EXPECT_EQ(pull().error().code, ErrorCode::kBadModel);
  name_.tag = "none";
  EXPECT_THAT(pull().error().message, HasSubstr("tiny:none"));
  EXPECT_FALSE(fs::exists(store_.blob_path(layers_[0].sha256)));
}

TEST_F(PullTest, BlobsOfAnotherStoreAreLinked) {
  add(LayerKind::kModel, "GGUF-weights");
  publish();
  const LocalStore other(fs::path(temporary_.path()) / "other");
  write_text(other.blob_path(layers_[0].sha256), "GGUF-weights");
  ASSERT_TRUE(pull({.others = {other}}));
  for (const ServedRequest& request : server_.requests()) {
    EXPECT_EQ(request.target.find(layers_[0].sha256), std::string::npos);
  }
  // Something else under that name is not taken.
  const LocalStore wrong(fs::path(temporary_.path()) / "wrong");
  fs::remove(store_.blob_path(layers_[0].sha256));
  write_text(wrong.blob_path(layers_[0].sha256), "GGUF-wEights");
  const auto model = pull({.others = {wrong}});
  ASSERT_TRUE(model);
  EXPECT_EQ(read_text(model->file), "GGUF-weights");
}

TEST_F(PullTest, CutBlobsAreFetchedAgain) {
  add(LayerKind::kModel, "GGUF-weights");
  publish();
  write_text(store_.blob_path(layers_[0].sha256), "GGUF");
  const auto model = pull();
  ASSERT_TRUE(model);
  EXPECT_EQ(read_text(model->file), "GGUF-weights");
}

TEST(RegistryToken, ChallengesAreRead) {
  const auto challenge = parse_bearer_challenge(
      R"(Bearer realm="https://a/t?x=1", service=s, scope="a:b:pull c:d:push",error="say \"x\"")");
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->realm, "https://a/t?x=1");
  EXPECT_EQ(challenge->service, "s");
  EXPECT_EQ(challenge->scope, "a:b:pull c:d:push");
  for (const char* text : {"", "Basic realm=\"x\"", "Bearer", "Bearer realm", "Bearer realm=\"x",
                           "Bearer service=\"s\""}) {
    EXPECT_FALSE(parse_bearer_challenge(text)) << text;
  }
}

}  // namespace
}  // namespace llmrun::store
