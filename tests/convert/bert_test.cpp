// A BERT folder with the files of sentence-transformers, converted, and what the GGUF file says.
#include <gmock/gmock.h>

#include <cstring>

#include "base/temporary_folder.h"
#include "convert/converter.h"
#include "convert/hf_folder.h"
#include "gguf/reader.h"

namespace llmrun::convert {
namespace {

using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kConfig = R"({"architectures":["BertModel"],"hidden_size":8,
  "intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"layer_norm_eps":1e-12,
  "max_position_embeddings":4,"type_vocab_size":2,"vocab_size":7,"hidden_act":"gelu"})";

constexpr const char* kTokenizer = R"({
  "added_tokens":[{"id":0,"content":"[PAD]","special":true},{"id":1,"content":"[UNK]","special":true},
                  {"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],
  "normalizer":{"type":"BertNormalizer","lowercase":true,"strip_accents":null},
  "pre_tokenizer":{"type":"BertPreTokenizer"},
  "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]"}},
                    {"Sequence":{"id":"A"}},{"SpecialToken":{"id":"[SEP]"}}]},
  "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
           "vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"play":4,"##ing":5}}})";

using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

std::string weights(const std::string& prefix = "",
                    const Shapes& more = {{"pooler.dense.weight", {8, 8}}}) {
  test::Weights weights;
  weights.add(prefix + "embeddings.word_embeddings.weight", {7, 8});
  weights.add(prefix + "embeddings.position_embeddings.weight", {4, 8});
  weights.add(prefix + "embeddings.token_type_embeddings.weight", {2, 8});
  weights.add(prefix + "embeddings.LayerNorm.weight", {8});
  weights.add(prefix + "embeddings.LayerNorm.bias", {8});
  const std::string layer = prefix + "encoder.layer.0.";
  for (const char* name : {"attention.self.query", "attention.self.key", "attention.self.value",
                           "attention.output.dense"}) {
    weights.add(layer + name + ".weight", {8, 8});
    weights.add(layer + name + ".bias", {8});
  }
  for (const char* name : {"attention.output.LayerNorm", "output.LayerNorm"}) {
    weights.add(layer + name + ".weight", {8});
    weights.add(layer + name + ".bias", {8});
  }
  weights.add(layer + "intermediate.dense.weight", {16, 8});
  weights.add(layer + "intermediate.dense.bias", {16});
  weights.add(layer + "output.dense.weight", {8, 16});
  weights.add(layer + "output.dense.bias", {8});
  for (const auto& [name, shape] : more) weights.add(name, shape);
  return weights.file();
}

class Bert : public ::testing::Test {
 protected:
  void SetUp() override {
    write("config.json", kConfig);
    write("tokenizer.json", kTokenizer);
    write("tokenizer_config.json", R"({"unk_token":"[UNK]","sep_token":"[SEP]",
      "cls_token":"[CLS]","pad_token":{"content":"[PAD]"}})");
    write("model.safetensors", weights());
    write("README.md", "---\nlicense: apache-2.0\n---\n# A model\n");
    write("modules.json", R"([{"path":"","type":"sentence_transformers.models.Transformer"},
      {"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
      {"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}])");
    write("1_Pooling/config.json", R"({"pooling_mode_cls_token":true})");
  }
  void write(const std::string& name, std::string_view text) {
    write_text(folder_.file("hf/" + name), text);
  }
  Result<ConvertReport> convert() {
    return convert_folder({.folder = folder_.file("hf"), .output = output()});
  }
  [[nodiscard]] std::string output() const { return folder_.file("out.gguf"); }

  llmrun::test::TemporaryFolder folder_;
};

TEST_F(Bert, BecomesAFileWithPoolingAndWordPieces) {
  const auto report = convert();
  ASSERT_TRUE(report) << report.error().message << " " << report.error().context;
  EXPECT_EQ(report->n_tensors, 21U);
  const auto file = gguf::File::open(output());
  ASSERT_TRUE(file) << file.error().message;
  const gguf::Metadata& metadata = file->metadata();
  EXPECT_EQ(metadata.get<std::string>("general.architecture").value(), "bert");
  EXPECT_EQ(metadata.get<std::string>("general.license").value(), "apache-2.0");
  EXPECT_EQ(metadata.get<uint32_t>("bert.pooling_type").value(), 2U);
  EXPECT_TRUE(metadata.get<bool>("bert.normalize_embeddings").value());
  EXPECT_FALSE(metadata.get<bool>("bert.attention.causal").value());
  EXPECT_THAT(metadata.get_array<std::string>("tokenizer.ggml.tokens").value(),
              ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "\xE2\x96\x81play", "ing", "[PAD6]"));
  EXPECT_THAT(metadata.get_array<int32_t>("tokenizer.ggml.token_type").value(),
              ElementsAre(3, 3, 3, 3, 1, 1, 5));
  EXPECT_EQ(metadata.get<uint32_t>("tokenizer.ggml.cls_token_id").value(), 2U);
  EXPECT_EQ(metadata.get<uint32_t>("tokenizer.ggml.seperator_token_id").value(), 3U);
  EXPECT_TRUE(metadata.get<bool>("tokenizer.ggml.add_sep_token").value());
  const gguf::TensorInfo* up = file->find_tensor("blk.0.ffn_up.weight");
  ASSERT_NE(up, nullptr);
  EXPECT_EQ(up->dims[0], 8U);
  EXPECT_EQ(up->dims[1], 16U);
  float values[2] = {};
  std::memcpy(values, up->data().data(), sizeof(values));
  EXPECT_EQ(values[1], 1.0F / 64.0F);
}

// Positions count from pad_token_id + 1, and the classifier lies outside the encoder's names.
TEST_F(Bert, AsARobertaRankerKeepsItsClassifier) {
  write("config.json", R"({"architectures":["XLMRobertaForSequenceClassification"],
    "model_type":"xlm-roberta","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,
    "num_attention_heads":2,"max_position_embeddings":4,"pad_token_id":1,"hidden_act":"gelu"})");
  std::filesystem::remove(folder_.file("hf/modules.json"));
  write("model.safetensors", weights("roberta.", {{"classifier.dense.weight", {8, 8}},
                                                  {"classifier.dense.bias", {8}},
                                                  {"classifier.out_proj.weight", {1, 8}},
                                                  {"classifier.out_proj.bias", {1}}}));
  const auto report = convert();
  ASSERT_TRUE(report) << report.error().message << " " << report.error().context;
  const auto file = gguf::File::open(output());
  ASSERT_TRUE(file);
  EXPECT_EQ(file->metadata().get<uint32_t>("bert.pooling_type").value(), 4U);
  EXPECT_EQ(file->metadata().get<uint32_t>("bert.context_length").value(), 2U);
  const gguf::TensorInfo* positions = file->find_tensor("position_embd.weight");
  ASSERT_NE(positions, nullptr);
  EXPECT_EQ(positions->dims[1], 2U);
  float first = 0.0F;
  std::memcpy(&first, positions->data().data(), sizeof(first));
  EXPECT_EQ(first, 16.0F / 64.0F);  // row 2 of 8 values
  EXPECT_NE(file->find_tensor("cls.weight"), nullptr);
  EXPECT_NE(file->find_tensor("cls.output.bias"), nullptr);
}

TEST_F(Bert, RefusesATensorWithoutAPlace) {
  test::Weights extra;
  extra.add("encoder.relative_bias.weight", {2, 2});
  write("model-2.safetensors", extra.file());
  write("model.safetensors.index.json",
        R"({"weight_map":{"x":"model.safetensors","y":"model-2.safetensors"}})");
  const auto report = convert();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(report.error().message, HasSubstr("encoder.relative_bias.weight"));
  EXPECT_FALSE(std::filesystem::exists(output()));
}

TEST_F(Bert, NamesWhatIsMissing) {
  write("config.json", R"({"architectures":["BertModel"],"num_hidden_layers":1})");
  const auto no_width = convert();
  ASSERT_FALSE(no_width);
  EXPECT_THAT(no_width.error().message, HasSubstr("hidden_size"));
  EXPECT_THAT(no_width.error().context, HasSubstr("config.json"));
  write("config.json", R"({"architectures":["NoSuchModel"]})");
  const auto no_class = convert();
  ASSERT_FALSE(no_class);
  EXPECT_EQ(no_class.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(no_class.error().message, HasSubstr("NoSuchModel"));
}

TEST_F(Bert, RefusesACasedVocabulary) {
  std::string cased = kTokenizer;
  cased.replace(cased.find("\"lowercase\":true"), 16, "\"lowercase\":false");
  write("tokenizer.json", cased);
  const auto report = convert();
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("cased"));
}

TEST_F(Bert, DoesNotLeaveTheFolder) {
  write("model.safetensors.index.json", R"({"weight_map":{"x":"../other.safetensors"}})");
  const auto report = convert();
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("no file name"));
}

}  // namespace
}  // namespace llmrun::convert
