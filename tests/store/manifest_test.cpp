// Manifests of models, and of everything else that a registry may send.
#include "store/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace llmrun::store {
namespace {

using testing::HasSubstr;

const std::string kA(64, 'a');
const std::string kB(64, 'b');

std::string layer(const std::string& type, const std::string& sha256, const std::string& size) {
  return fmt::format(R"({{"mediaType":"{}","digest":"sha256:{}","size":{}}})", type, sha256, size);
}

std::string ollama(const std::string& kind, const std::string& sha256 = kA,
                   const std::string& size = "5") {
  return layer("application/vnd.ollama.image." + kind, sha256, size);
}

std::string manifest(const std::string& layers) {
  return fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})",
                     layer("application/vnd.docker.container.image.v1+json", kB, "7"), layers);
}

TEST(Manifest, KnowsTheLayers) {
  const auto parsed = parse_manifest(manifest(ollama("model") + "," + ollama("license", kB, "7") +
                                              "," + ollama("prompt", kB, "7")));
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->layers.size(), 3U);
  EXPECT_EQ(parsed->find(LayerKind::kModel)->sha256, kA);
  EXPECT_EQ(parsed->find(LayerKind::kTemplate)->size, 7U);
  EXPECT_EQ(parsed->find(LayerKind::kAdapter), nullptr);
  EXPECT_EQ(parsed->all_blobs().size(), 2U) << "one blob may serve twice";
  EXPECT_EQ(parsed->total_bytes(), 26U);
}

TEST(Manifest, SurvivesWriting) {
  const Layer config{LayerKind::kConfig, media_type_of(LayerKind::kConfig), kA, 3};
  const std::vector<Layer> layers = {{LayerKind::kModel, media_type_of(LayerKind::kModel), kB, 9}};
  const auto parsed = parse_manifest(write_manifest(config, layers));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->config.digest(), "sha256:" + kA);
  EXPECT_EQ(parsed->layers.front().kind, LayerKind::kModel);
}

TEST(Manifest, HostileOnesAreRefused) {
  std::string many = ollama("license");
  for (size_t i = 0; i < kMaxLayers; ++i) many += "," + ollama("license");
  const std::string good = manifest(ollama("model"));
  const std::vector<std::string> hostile = {
      "",
      "[]",
      "{}",
      "null",
      std::string(100'000, '['),
      good.substr(0, good.size() / 2),
      manifest(""),
      manifest("3"),
      manifest("null"),
      manifest(many),
      manifest(ollama("model", "../../etc/passwd")),
      manifest(ollama("model", std::string(63, 'a'))),
      manifest(ollama("model", std::string(64, 'A'))),
      manifest(ollama("model", std::string(62, 'a') + "/.")),
      manifest(ollama("model", kA, "-1")),
      manifest(ollama("model", kA, "1.5")),
      manifest(ollama("model", kA, "\"5\"")),
      manifest(ollama("model", kA, "99999999999999999999")),
      manifest(ollama("model", kA, "18446744073709551615")),
      manifest(ollama("template", kA, "99999999")),
      manifest(ollama("model", kA, "17592186044416") + "," +
               ollama("adapter", kB, "17592186044416")),
      manifest(ollama("model") + "," + ollama("model", std::string(64, 'c'))),
      manifest(ollama("model") + "," + ollama("license", kA, "6")),
      manifest(ollama("model", kB, "8")),
      R"({"schemaVersion":1,"layers":[)" + ollama("model") + "]}",
      R"({"schemaVersion":2,"manifests":[],"layers":[)" + ollama("model") + "]}",
      R"({"schemaVersion":2,"mediaType":"text/html","layers":[)" + ollama("model") + "]}",
      R"({"schemaVersion":2,"config":)" + layer("text/html", kA, "1") + R"(,"layers":[)" +
          ollama("model") + "]}",
      good + std::string(kMaxManifestBytes, ' '),
  };
  for (const std::string& text : hostile) {
    const auto parsed = parse_manifest(text);
    ASSERT_FALSE(parsed) << text.substr(0, 300);
    EXPECT_TRUE(parsed.error().code == ErrorCode::kBadModel ||
                parsed.error().code == ErrorCode::kUnsupported);
  }
}

TEST(Manifest, WhatCannotRunHereIsSaid) {
  const auto refusal = [](const std::string& layers, const std::string& config) {
    const auto parsed = parse_manifest(manifest(layers));
    EXPECT_TRUE(parsed) << layers;
    const auto result = check_can_run(*parsed, config);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(refusal(ollama("model"), R"({"model_format":"gguf"})"), "");
  EXPECT_EQ(refusal(ollama("model"), "no json"), "");
  EXPECT_THAT(refusal(ollama("license"), R"({"remote_host":"https://ollama.com"})"),
              HasSubstr("https://ollama.com"));
  EXPECT_THAT(refusal(ollama("tensor"), R"({"model_format":"safetensors"})"),
              HasSubstr("safetensors"));
  EXPECT_THAT(refusal(ollama("license"), "{}"), HasSubstr("no model file"));
  EXPECT_THAT(refusal(ollama("model") + "," + ollama("hologram", kB, "7"), "{}"),
              HasSubstr("hologram"));
  EXPECT_THAT(refusal(layer("application/vnd.docker.image.rootfs.diff.tar.gzip", kA, "5"), "{}"),
              HasSubstr("container image"));
}

}  // namespace
}  // namespace llmrun::store
