// Models made of Modelfiles: layers, digests, sharing, what is inherited, and that nothing is named
// after an error.
#include "store/create.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file_io.h"
#include "base/sha256.h"
#include "base/temporary_folder.h"
#include "store/manifest.h"
#include "store/model_layers.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

ModelName name(const char* text) { return *parse_model_name(text); }

class Create : public ::testing::Test {
 protected:
  Create() : store_(folder_.path() + "/store") {
    write_text(path("model.gguf"), "GGUF model");
    write_text(path("a.gguf"), "GGUF adapter");
  }

  [[nodiscard]] fs::path path(const char* file) const { return fs::path(folder_.path()) / file; }

  Result<CreateReport> create(const char* model, const std::string& text) {
    LLMRUN_ASSIGN(const Modelfile file, parse_modelfile(text));
    return create_model(file, folder_.path(), name(model), store_,
                        [this](const std::string& from) -> Result<StoredModel> {
                          const auto found = store_.find(name(from.c_str()));
                          if (found) return *found;
                          return make_error(ErrorCode::kNotFound, "no {}", from);
                        });
  }

  ModelLayers layers(const char* model) {
    return read_layers(store_.find(name(model)).value()).value();
  }

  test::TemporaryFolder folder_;
  LocalStore store_;
};

TEST_F(Create, WritesLayersWithTheirDigests) {
  const auto report = create("pirate",
                             "FROM model.gguf\nPARAMETER temperature 0.5\nSYSTEM Arr\n"
                             "TEMPLATE {{ .Prompt }}\nADAPTER a.gguf\nLICENSE one\nLICENSE two\n"
                             "MESSAGE user Hi\nMESSAGE assistant Ahoy\n");
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->model.name, "pirate:latest");
  const std::string text = read_file(report->model.manifest.string(), kMaxManifestBytes).value();
  const Manifest manifest = parse_manifest(text).value();
  EXPECT_EQ(manifest.layers.size(), 8U);
  for (const Layer& layer : manifest.all_blobs()) {
    const fs::path blob = store_.blob_path(layer.sha256);
    EXPECT_EQ(sha256_file(blob.string()).value(), layer.sha256);
    EXPECT_EQ(fs::file_size(blob), layer.size);
  }
  const ModelLayers all = layers("pirate");
  EXPECT_EQ(all.system, "Arr");
  EXPECT_EQ(all.chat_template, "{{ .Prompt }}");
  EXPECT_EQ(all.licenses, (std::vector<std::string>{"one", "two"}));
  ASSERT_EQ(all.parameters.size(), 1U);
  EXPECT_EQ(all.parameters[0].value, "0.5");
  ASSERT_EQ(all.messages.size(), 2U);
  EXPECT_EQ(all.messages[1].content, "Ahoy");
  ASSERT_EQ(all.adapters.size(), 1U);
  EXPECT_EQ(read_file(all.adapters[0].string(), 100).value(), "GGUF adapter");
  EXPECT_EQ(read_file(report->model.file.string(), 100).value(), "GGUF model");
}

TEST_F(Create, InheritsWhatIsNotSaidAnew) {
  ASSERT_TRUE(create("base",
                     "FROM model.gguf\nPARAMETER temperature 0.5\nPARAMETER top_k 3\nSYSTEM Old\n"
                     "TEMPLATE {{ .Prompt }}\nLICENSE one\nMESSAGE user Hi\n"));
  const auto report = create("child",
                             "FROM base\nPARAMETER temperature 0.9\nSYSTEM New\nLICENSE two\n"
                             "TEMPLATE \"\"\n");
  ASSERT_TRUE(report.has_value()) << report.error().message;
  const ModelLayers all = layers("child");
  EXPECT_EQ(all.system, "New");
  EXPECT_FALSE(all.chat_template.has_value());
  EXPECT_EQ(all.licenses, (std::vector<std::string>{"one", "two"}));
  ASSERT_EQ(all.parameters.size(), 2U);
  EXPECT_EQ(all.parameters[0].name, "temperature");
  EXPECT_EQ(all.parameters[0].value, "0.9");
  EXPECT_EQ(all.parameters[1].name, "top_k");
  EXPECT_EQ(all.messages.size(), 1U);
  EXPECT_EQ(store_.find(name("child"))->file, store_.find(name("base"))->file);
  EXPECT_EQ(layers("base").system, "Old");
}

TEST_F(Create, ReadsBackThroughItsModelfile) {
  ASSERT_TRUE(create(
      "one",
      "FROM model.gguf\nPARAMETER stop \"\"\"\n\"\"\"\nPARAMETER stop x\nSYSTEM \"\"\"a\nb\"\"\"\n"
      "ADAPTER a.gguf\n"));
  const ModelLayers first = layers("one");
  const std::string text = write_modelfile(as_modelfile(first, "model.gguf"));
  ASSERT_TRUE(create("two", text)) << text;
  EXPECT_EQ(store_.find(name("one"))->id, store_.find(name("two"))->id) << text;
}

TEST_F(Create, ErrorsNameTheLineAndLeaveNoName) {
  for (const auto& [text, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"\nFROM nothing", "line 2"},
           {"FROM model.gguf\nPARAMETER tempo 1", "line 2"},
           {"FROM model.gguf\nADAPTER none.gguf", "none.gguf"}}) {
    const auto report = create("bad", text);
    ASSERT_FALSE(report.has_value()) << text;
    EXPECT_NE((report.error().context + report.error().message).find(wanted), std::string::npos)
        << report.error().context << report.error().message;
  }
  write_text(path("text.gguf"), "not one");
  const auto report = create("bad", "FROM text.gguf");
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::kBadModel);
  EXPECT_FALSE(store_.find(name("bad")));
}

// Config that is written again is walked to its depth, so a stranger's may not decide that.
TEST_F(Create, InheritsNoConfigThatNestsTooDeep) {
  const auto base = create("base", "FROM model.gguf");
  ASSERT_TRUE(base.has_value());
  const std::string sha256 = sha256_file(base->model.file.string()).value();
  for (const auto& [depth, is_kept] : {std::pair<size_t, bool>{60, true}, {100'000, false}}) {
    const std::string config =
        R"({"model_format":"gguf","x":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
    ASSERT_TRUE(store_.publish(name("deep"), sha256, base->model.size, config));
    const auto child = create("child", "FROM deep\nSYSTEM New\n");
    ASSERT_TRUE(child.has_value()) << child.error().message;
    const auto manifest = store_.manifest_of(child->model);
    const std::string written =
        read_file(store_.blob_path(manifest->config.sha256).string(), kMaxConfigBytes).value();
    EXPECT_EQ(written.find("[[") != std::string::npos, is_kept) << depth;
    EXPECT_NE(written.find("gguf"), std::string::npos);
    EXPECT_EQ(layers("child").system, "New");
  }
}

// What a stranger's manifest points to is measured before it is read.
TEST_F(Create, LayersThatLieAreRefused) {
  const auto report = create("pirate", "FROM model.gguf\nSYSTEM Arr\nMESSAGE user x\n");
  ASSERT_TRUE(report.has_value());
  const std::string text = read_file(report->model.manifest.string(), kMaxManifestBytes).value();
  const Manifest manifest = parse_manifest(text).value();
  for (const Layer& layer : manifest.layers) {
    if (layer.kind == LayerKind::kSystem) write_text(store_.blob_path(layer.sha256), "longer");
  }
  const auto lied = read_layers(report->model);
  ASSERT_FALSE(lied.has_value());
  EXPECT_EQ(lied.error().code, ErrorCode::kBadModel);
  EXPECT_NE(lied.error().message.find("system"), std::string::npos);
}

}  // namespace
}  // namespace llmrun::store
