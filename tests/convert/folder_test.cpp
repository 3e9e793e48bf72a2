// Whole folders that differ from the stored ones: a model that sees, named templates, other
// spellings, and seeds of the fuzzer, which must be worth mutating.
#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>

#include "base/file_io.h"
#include "base/temporary_folder.h"
#include "base/thread_pool.h"
#include "convert/converter.h"
#include "convert/encode.h"
#include "convert/families/family.h"
#include "convert/hf_folder.h"
#include "gguf/reader.h"
#include "paths.h"

namespace llmrun::convert {
namespace {

namespace fs = std::filesystem;
using test::write_text;
using ::testing::HasSubstr;

const std::string kTests = std::string(tests::kSourceDir) + "/tests/";

std::string text_of_file(const std::string& path) {
  const auto text = read_file(path, 1 << 22);
  EXPECT_TRUE(text) << path;
  return text.value_or(std::string());
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// A copy of a stored folder that a test changes.
class Folder : public ::testing::Test {
 protected:
  void copy(const std::string& name) {
    fs::copy(kTests + "data/convert/" + name, path(""), fs::copy_options::recursive);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return temporary_.file("hf/" + name);
  }
  void edit(const std::string& name, const std::string& from, const std::string& to) {
    std::string text = text_of_file(path(name));
    EXPECT_THAT(text, HasSubstr(from));
    replace_all(text, from, to);
    write_text(path(name), text);
  }
  // Renames tensors in the header of the weights.
  void rename_tensors(const std::string& from, const std::string& to) {
    const std::string file = text_of_file(path("model.safetensors"));
    uint64_t size = 0;
    std::memcpy(&size, file.data(), sizeof(size));
    std::string header = file.substr(sizeof(size), size);
    replace_all(header, "\"" + from, "\"" + to);
    write_text(path("model.safetensors"),
               test::safetensors_file(header, std::string_view(file).substr(sizeof(size) + size)));
  }
  Result<ConvertReport> convert(const std::string& output, const std::string& folder = {}) {
    ConvertRequest request;
    request.folder = folder.empty() ? path("") : folder;
    request.output = temporary_.file(output);
    request.name = "x";
    return convert_folder(request);
  }
  [[nodiscard]] std::string written(const std::string& output) const {
    return text_of_file(temporary_.file(output));
  }
  llmrun::test::TemporaryFolder temporary_;
};

TEST_F(Folder, OfAModelThatSeesGivesItsLanguageModel) {
  ASSERT_TRUE(convert("plain.gguf", kTests + "data/convert/gemma3"));
  copy("gemma3");
  const std::string text_config = text_of_file(path("config.json"));
  write_text(path("config.json"), R"({"architectures":["Gemma3ForConditionalGeneration"],)"
                                  R"("text_config":)" +
                                      text_config + "}");
  for (const auto& [from, to] : {std::pair("model.", "model.language_model."),
                                 std::pair("model.language_model.", "language_model.model.")}) {
    rename_tensors(from, to);
    const auto report = convert("seeing.gguf");
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->warnings.size(), 1U);
    EXPECT_EQ(written("seeing.gguf"), written("plain.gguf")) << to;
  }
}

TEST_F(Folder, WithNamedTemplatesKeepsAll) {
  copy("qwen3");
  write_text(path("tokenizer_config.json"),
             R"({"chat_template":[{"name":"default","template":"A"},)"
             R"({"name":"tool_use","template":"B"},{"name":"../x","template":"C"}]})");
  ASSERT_TRUE(convert("out.gguf"));
  const auto file = gguf::File::open(temporary_.file("out.gguf"));
  ASSERT_TRUE(file);
  const auto text = [&](const char* key) {
    return file->metadata().get_or<std::string>(key, "none").value();
  };
  EXPECT_EQ(text("tokenizer.chat_template"), "A");
  EXPECT_EQ(text("tokenizer.chat_template.tool_use"), "B");
  EXPECT_FALSE(file->metadata().contains("tokenizer.chat_template.../x"));
}

TEST_F(Folder, RecommendsSamplingOnlyWhereTheModelSamples) {
  copy("qwen2");
  ASSERT_TRUE(convert("out.gguf"));
  EXPECT_THAT(written("out.gguf"), HasSubstr("general.sampling.top_k"));
  edit("generation_config.json", "{", R"({"do_sample":false,)");
  ASSERT_TRUE(convert("greedy.gguf"));
  EXPECT_THAT(written("greedy.gguf"), ::testing::Not(HasSubstr("general.sampling")));
}

TEST_F(Folder, ThatIsIncompleteNamesWhatIsMissing) {
  copy("llama");
  fs::remove(path("tokenizer.json"));
  const auto no_tokenizer = convert("out.gguf");
  ASSERT_FALSE(no_tokenizer);
  EXPECT_THAT(no_tokenizer.error().message, HasSubstr("tokenizer.json"));
  rename_tensors("model.layers.1.mlp.up_proj.weight", "model.layers.9.mlp.up_proj.weight");
  const auto no_tensor = convert("out.gguf");
  ASSERT_FALSE(no_tensor);
  EXPECT_THAT(no_tensor.error().message, HasSubstr("model.layers.1.mlp.up_proj.weight"));
  fs::remove(path("model.safetensors"));
  write_text(path("pytorch_model.bin"), "x");
  const auto no_weights = convert("out.gguf");
  ASSERT_FALSE(no_weights);
  EXPECT_EQ(no_weights.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(no_weights.error().message, HasSubstr("safe_serialization"));
  EXPECT_FALSE(fs::exists(temporary_.file("out.gguf")));
}

TEST_F(Folder, OfAnotherShapeThanItsConfigIsRefused) {
  copy("llama");
  edit("config.json", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4");
  const auto report = convert("out.gguf");
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("[16, 32]"));
}

TEST_F(Folder, StopsWhenAskedAndLeavesNothing) {
  ConvertRequest request;
  request.folder = kTests + "data/convert/llama";
  request.output = temporary_.file("out.gguf");
  request.progress = [](uint64_t done, uint64_t) { return done == 0; };
  const auto report = convert_folder(request);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(temporary_.n_files(), 0U);
}

// A seed that was refused early would make the fuzzer look at nothing.
TEST(FuzzConfig, SeedsConvert) {
  for (const char* name : {"bert", "deepseek2", "deepseek3", "fp8", "gemma2", "gemma3", "gpt-oss",
                           "llama", "mistral", "phi3", "qwen2", "qwen3", "qwen3moe"}) {
    const std::string seed = text_of_file(kTests + "corpus/fuzz_config/" + name);
    const size_t zero = seed.find('\0');
    ASSERT_NE(zero, std::string::npos);
    const std::string weights = seed.substr(zero + 1);
    auto tensors = read_safetensors(test::bytes_of(weights), name);
    ASSERT_TRUE(tensors) << name << ": " << tensors.error().message;
    const auto checkpoint = Checkpoint::from_tensors(std::move(*tensors));
    const Config config(parse_json(seed.substr(0, zero), name).value(), name);
    gguf::Writer writer;
    Conversion conversion(config, *checkpoint, writer, true);
    find_family(config.texts("architectures").at(0))(conversion);
    conversion.check_all_used();
    EXPECT_TRUE(config.ok()) << name << ": " << config.result().error().message;
    EXPECT_GE(conversion.outputs().size(), 10U) << name;
  }
}

}  // namespace
}  // namespace llmrun::convert
