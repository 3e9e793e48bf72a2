// Quantising whole files, and gathering what matters in them.
#include "llmrun/quantize.h"

#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <random>

#include "api_fixture.h"
#include "base/temporary_folder.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "kernels/tensor_type.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

std::vector<float> noise(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random() >> 8) * 0x1p-24F - 0.5F;
  return values;
}

// A file with the tensors of 8 layers, wide enough for every type, and the values of all of them.
class WideFile {
 public:
  explicit WideFile(const std::string& path) {
    gguf::Writer writer;
    writer.add_metadata("general.architecture", "llama");
    writer.add_metadata("general.file_type", uint32_t{0});
    writer.add_metadata("llama.block_count", uint32_t{8});
    writer.add_metadata("llama.attention.head_count", uint32_t{4});
    writer.add_metadata("split.count", uint16_t{1});
    add(writer, "token_embd.weight", {256, 16});
    add(writer, "output_norm.weight", {256});
    add(writer, "output.weight", {256, 16});
    for (int layer = 0; layer < 8; ++layer) {
      const std::string prefix = fmt::format("blk.{}.", layer);
      add(writer, prefix + "attn_norm.weight", {256});
      add(writer, prefix + "attn_q.weight", {256, 4});
      add(writer, prefix + "attn_v.weight", {256, 4});
      add(writer, prefix + "ffn_down.weight", {256, 4});
      add(writer, prefix + "ffn_gate_inp.weight", {256, 4});
      add(writer, prefix + "ffn_up.weight", {96, 4});
    }
    must(writer.write(path));
  }
  [[nodiscard]] const std::vector<float>& values(const std::string& name) const {
    return values_.at(name);
  }

 private:
  void add(gguf::Writer& writer, const std::string& name, const std::vector<uint64_t>& shape) {
    size_t n = 1;
    for (const uint64_t size : shape) n *= size;
    const auto& values = values_[name] = noise(n, static_cast<uint32_t>(values_.size()));
    writer.add_tensor(name, 0, shape, std::as_bytes(std::span(values)));
  }
  std::map<std::string, std::vector<float>> values_;
};

std::map<std::string, QuantizedTensor> by_name(const Quantization& result) {
  std::map<std::string, QuantizedTensor> tensors;
  for (const QuantizedTensor& tensor : result.tensors) tensors[tensor.name] = tensor;
  return tensors;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class QuantizeModel : public testing::Test {
 protected:
  QuantizeModel() : wide_(folder_.file("in.gguf")) {
    options_.input = folder_.file("in.gguf");
    options_.output = folder_.file("out.gguf");
  }

  test::TemporaryFolder folder_;
  WideFile wide_;
  QuantizeOptions options_;
};

TEST_F(QuantizeModel, EveryTypeIsWrittenAsPlannedAndReadBack) {
  for (const QuantizeType& type : quantize_types()) {
    options_.type = type.name;
    options_.dry_run = true;
    const Quantization plan = must(quantize_model(options_));
    EXPECT_EQ(folder_.n_files(), 1U) << "a dry run wrote something";
    options_.dry_run = false;
    const Quantization result = must(quantize_model(options_));
    EXPECT_EQ(plan.bytes_after, result.bytes_after);
    const ModelInfo info = must(inspect_model(options_.output));
    ASSERT_EQ(info.tensors.size(), result.tensors.size());
    for (size_t i = 0; i < info.tensors.size(); ++i) {
      const QuantizedTensor& tensor = result.tensors[i];
      EXPECT_EQ(info.tensors[i].name, tensor.name);
      EXPECT_EQ(info.tensors[i].type, tensor.to);
      EXPECT_EQ(info.tensors[i].bytes, tensor.bytes_after);
      EXPECT_EQ(tensor.to, plan.tensors[i].to);
      // The reported error is the one that a reader finds.
      const DecodedTensor decoded = must(decode_tensor(options_.output, tensor.name));
      double error = 0.0;
      double norm = 0.0;
      for (size_t k = 0; k < decoded.values.size(); ++k) {
        const double value = wide_.values(tensor.name)[k];
        error += (value - decoded.values[k]) * (value - decoded.values[k]);
        norm += value * value;
      }
      EXPECT_NEAR(tensor.relative_error, std::sqrt(error / norm), 1e-9) << tensor.name;
      EXPECT_EQ(tensor.relative_error == 0.0, error == 0.0);
    }
    std::filesystem::remove(options_.output);
  }
}

TEST_F(QuantizeModel, TheMixSaysWhichTensorGetsWhat) {
  auto tensors = by_name(must(quantize_model(options_)));  // Q4_K_M
  EXPECT_EQ(tensors["output.weight"].to, "Q6_K");
  EXPECT_EQ(tensors["token_embd.weight"].to, "Q4_K");
  EXPECT_EQ(tensors["blk.0.attn_v.weight"].to, "Q6_K");
  EXPECT_EQ(tensors["blk.1.attn_v.weight"].to, "Q4_K");
  EXPECT_EQ(tensors["blk.7.ffn_down.weight"].to, "Q6_K");
  EXPECT_EQ(tensors["blk.0.attn_q.weight"].to, "Q4_K");
  EXPECT_EQ(tensors["blk.0.ffn_gate_inp.weight"].to, "F32");
  EXPECT_EQ(tensors["output_norm.weight"].to, "F32");
  EXPECT_EQ(tensors["blk.0.ffn_up.weight"].to, "Q5_0");
  EXPECT_THAT(tensors["blk.0.ffn_up.weight"].note, HasSubstr("96"));

  const gguf::File file = must(gguf::File::open(options_.output.string()));
  EXPECT_EQ(must(file.metadata().get<uint32_t>("general.file_type")), 15U);
  EXPECT_EQ(must(file.metadata().get<uint32_t>("general.quantization_version")), 2U);
  EXPECT_EQ(must(file.metadata().get<uint32_t>("llama.block_count")), 8U);
  EXPECT_FALSE(file.metadata().contains("split.count"));
}

TEST_F(QuantizeModel, OptionsOverrideTheMix) {
  options_.keep_output_f16 = true;
  options_.overrides = {{"attn_q", "q8_0"}, {R"(^blk\.[01]\.)", "f16"}, {"_inp", "bf16"}};
  auto tensors = by_name(must(quantize_model(options_)));
  EXPECT_EQ(tensors["output.weight"].to, "F16");
  EXPECT_EQ(tensors["blk.0.attn_q.weight"].to, "Q8_0");
  EXPECT_EQ(tensors["blk.1.ffn_down.weight"].to, "F16");
  EXPECT_EQ(tensors["blk.5.ffn_gate_inp.weight"].to, "BF16");
  EXPECT_EQ(tensors["blk.0.attn_norm.weight"].to, "F32");
}

TEST_F(QuantizeModel, ThreadsDoNotChangeTheFile) {
  options_.threads = 1;
  must(quantize_model(options_));
  const std::string one = bytes_of(options_.output.string());
  options_.threads = 3;
  must(quantize_model(options_));
  EXPECT_EQ(one, bytes_of(options_.output.string()));
  EXPECT_FALSE(one.empty());
}

TEST_F(QuantizeModel, QuantisingAgainWarnsAndKeepsWhatIsThere) {
  options_.type = "Q8_0";
  EXPECT_TRUE(must(quantize_model(options_)).warnings.empty());
  options_.input = folder_.file("out.gguf");
  options_.output = folder_.file("again.gguf");
  const Quantization same = must(quantize_model(options_));
  EXPECT_TRUE(same.warnings.empty());
  EXPECT_EQ(same.relative_error, 0.0);
  EXPECT_EQ(bytes_of(options_.input.string()), bytes_of(options_.output.string()));
  options_.type = "Q4_0";
  const Quantization again = must(quantize_model(options_));
  ASSERT_EQ(again.warnings.size(), 1U);
  EXPECT_THAT(again.warnings[0], HasSubstr("quantised already"));
}

TEST_F(QuantizeModel, MistakesAreToldAndLeaveNothing) {
  const auto fails = [&](QuantizeOptions options, ErrorCode code, const char* words) {
    const auto result = quantize_model(options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code);
    EXPECT_THAT(result.error().message, HasSubstr(words));
    EXPECT_EQ(folder_.n_files(), 1U) << words;
  };
  QuantizeOptions options = options_;
  options.type = "Q4_K_X";
  fails(options, ErrorCode::kUsage, "Q4_K_M");
  options = options_;
  options.overrides = {{"(", "q8_0"}};
  fails(options, ErrorCode::kUsage, "regular expression");
  options.overrides = {{"a", "Q4_K_M"}};
  fails(options, ErrorCode::kUsage, "no tensor type");
  options = options_;
  options.output = options.input;
  fails(options, ErrorCode::kUsage, "another file");
  options = options_;
  options.input = folder_.file("none.gguf");
  fails(options, ErrorCode::kNotFound, "none.gguf");
  options = options_;
  options.progress = [](uint64_t done, uint64_t total) -> Result<void> {
    EXPECT_LE(done, total);
    return tl::unexpected<Error>(Error{ErrorCode::kInterrupted, "stop", {}});
  };
  fails(options, ErrorCode::kInterrupted, "stop");
}

TEST_F(QuantizeModel, ValuesThatCannotBeStoredAreErrors) {
  const auto quantize_one = [&](float value, const char* type) {
    gguf::Writer writer;
    writer.add_metadata("general.architecture", "llama");
    std::vector<float> values(512, 0.25F);
    values[77] = value;
    const uint64_t shape[] = {256, 2};
    writer.add_tensor("blk.0.ffn_up.weight", 0, shape, std::as_bytes(std::span(values)));
    must(writer.write(folder_.file("odd.gguf")));
    options_.input = folder_.file("odd.gguf");
    options_.type = type;
    return quantize_model(options_);
  };
  EXPECT_TRUE(quantize_one(1.0F, "Q4_K_M"));
  const auto damaged = quantize_one(std::nanf(""), "Q4_K_M");
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kBadModel);
  EXPECT_THAT(damaged.error().context, HasSubstr("blk.0.ffn_up.weight"));
  EXPECT_FALSE(quantize_one(1e6F, "F16"));
  EXPECT_TRUE(quantize_one(1e6F, "BF16"));
}

// A model with experts, some of whose inputs matter far more than others.
TEST(Importance, IsGatheredPerExpertAndLowersTheWeightedError) {
  const test::TemporaryFolder folder;
  ImportanceOptions gather;
  gather.model = tiny_chat_path();
  gather.output = folder.file("imatrix.gguf");
  gather.text_name = "test";
  gather.context_tokens = 64;
  for (int i = 0; i < 100; ++i) gather.text += fmt::format("Line {} says hello. ", i);
  const ImportanceReport report = must(gather_importance(gather));
  EXPECT_EQ(report.n_tensors, 15U);  // 7 matrices in each of 2 layers, and the output
  EXPECT_GT(report.perplexity.n_windows, 10);

  QuantizeOptions options;
  options.input = gather.model;
  options.output = folder.file("out.gguf");
  options.type = "Q4_0";
  options.importance = gather.output;
  const Quantization weighted = must(quantize_model(options));
  EXPECT_EQ(weighted.n_with_importance, 15U);
  const gguf::File file = must(gguf::File::open(options.output.string()));
  EXPECT_EQ(must(file.metadata().get<uint32_t>("quantize.imatrix.entries_count")), 15U);
  EXPECT_EQ(must(file.metadata().get<std::string>("quantize.imatrix.dataset")), "test");

  // The same fits without weights, judged by the same importance: worse for every matrix.
  options.importance.clear();
  options.output = folder.file("plain.gguf");
  must(quantize_model(options));
  int n_compared = 0;
  for (const QuantizedTensor& tensor : weighted.tensors) {
    if (!tensor.weighted_error || tensor.to == "Q8_0") continue;  // whose scale is not a choice
    const DecodedTensor before = must(decode_tensor(tiny_chat_path(), tensor.name));
    const DecodedTensor plain = must(decode_tensor(options.output, tensor.name));
    const DecodedTensor sums = must(decode_tensor(gather.output, tensor.name + ".in_sum2"));
    double error = 0.0;
    double norm = 0.0;
    for (size_t i = 0; i < before.values.size(); ++i) {
      const double value = before.values[i];
      const double weight = sums.values[i % sums.values.size()];
      error += weight * (value - plain.values[i]) * (value - plain.values[i]);
      norm += weight * value * value;
    }
    EXPECT_LT(*tensor.weighted_error, std::sqrt(error / norm)) << tensor.name;
    ++n_compared;
  }
  EXPECT_EQ(n_compared, 14);
}

// The rules against a file of that name which another program made.
TEST(QuantizeRealModel, MixesAreThoseOfOtherPrograms) {
  LLMRUN_REAL_MODEL(path, "gemma-3-270m-q4_k_m.gguf");
  QuantizeOptions options;
  options.input = path;
  options.type = "Q4_K_M";
  options.dry_run = true;
  for (const QuantizedTensor& tensor : must(quantize_model(options)).tensors) {
    EXPECT_EQ(tensor.from, tensor.to) << tensor.name;
  }
}

}  // namespace
}  // namespace llmrun
