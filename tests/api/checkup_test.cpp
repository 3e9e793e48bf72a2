// Planted faults: how many of them a checkup catches, and that sound files pass.
#include "llmrun/checkup.h"

#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <random>

#include "api/check_tensors.h"
#include "api_fixture.h"
#include "base/temporary_folder.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "kernels/tensor_type.h"

namespace llmrun {
namespace {

using quant::TensorType;
using testing::HasSubstr;

const CheckResult* find(const Checkup& checkup, const std::string& what) {
  for (const CheckResult& result : checkup.results) {
    if (result.what == what) return &result;
  }
  return nullptr;
}

std::string faults_of(const Checkup& checkup) {
  std::string text;
  for (const CheckResult& result : checkup.results) {
    if (!result.good) text += result.what + ": " + result.detail + "\n";
  }
  return text;
}

Checkup check_file(const gguf::File& file) {
  ThreadPool pool(2);
  Checkup checkup;
  checkup::check_tensors(file, pool, checkup);
  return checkup;
}

// ---- tensors of every type ---------------------------------------------------------------------

class TensorFaults : public testing::TestWithParam<TensorType> {
 protected:
  static constexpr int64_t kWidth = 1024;
  static constexpr int64_t kRows = 64;

  // Weights as training leaves them: rows and columns of different sizes.
  TensorFaults() : bytes_(quant::row_bytes(GetParam(), kWidth).value() * kRows) {
    std::mt19937 random(7);
    std::vector<float> values(kWidth);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t i = 0; i < kWidth; ++i) {
        float sum = -6.0F;
        for (int k = 0; k < 12; ++k) sum += static_cast<float>(random() >> 8) * 0x1p-24F;
        values[static_cast<size_t>(i)] =
            0.02F * sum * (row % 5 == 0 ? 4.0F : 1.0F) * (i / 128 == 3 ? 5.0F : 1.0F);
      }
      values[static_cast<size_t>(row * 7)] = 2.0F;  // a heavy weight here and there
      quant::quantize_row(GetParam(), values.data(), kWidth,
                          bytes_.data() + static_cast<size_t>(row) * row_bytes());
    }
  }
  [[nodiscard]] size_t row_bytes() const { return bytes_.size() / kRows; }

  [[nodiscard]] Checkup check() const {
    gguf::Writer writer;
    writer.add_metadata("general.architecture", "llama");
    const uint64_t shape[] = {kWidth, kRows};
    writer.add_tensor("blk.0.ffn_up.weight", quant::traits(GetParam()).gguf_id, shape, bytes_);
    const auto file_bytes = must(writer.to_bytes());
    std::vector<uint64_t> aligned(file_bytes.size() / 8 + 1);
    std::memcpy(aligned.data(), file_bytes.data(), file_bytes.size());
    const gguf::File file =
        must(gguf::File::from_bytes(std::as_bytes(std::span(aligned)).first(file_bytes.size())));
    return check_file(file);
  }

  std::vector<std::byte> bytes_;
};

TEST_P(TensorFaults, SoundTensorsPass) { EXPECT_EQ(faults_of(check()), ""); }

TEST_P(TensorFaults, ZerosAreCaught) {
  const auto sound = bytes_;
  std::vector<float> zeros(kWidth, 0.0F);
  for (int64_t row = 0; row < kRows; ++row) {
    quant::quantize_row(GetParam(), zeros.data(), kWidth,
                        bytes_.data() + static_cast<size_t>(row) * row_bytes());
  }
  EXPECT_THAT(faults_of(check()), HasSubstr("all values are 0"));
}

// A block of one row whose values are 256 times as large: the flip of one exponent bit.
TEST_P(TensorFaults, OversizedBlocksAreCaught) {
  std::vector<float> row(kWidth);
  std::byte* const packed = bytes_.data() + 33 * row_bytes();
  quant::dequantize_row(GetParam(), packed, kWidth, row.data());
  for (int i = 512; i < 768; ++i) row[static_cast<size_t>(i)] *= 256.0F;
  quant::quantize_row(GetParam(), row.data(), kWidth, packed);
  EXPECT_THAT(faults_of(check()), HasSubstr("blk.0.ffn_up.weight"));
  EXPECT_THAT(faults_of(check()), HasSubstr("row 33"));
}

std::vector<TensorType> all_types() {
  std::vector<TensorType> types;
  for (int i = 0; i < quant::kTensorTypeCount; ++i) types.push_back(static_cast<TensorType>(i));
  return types;
}
INSTANTIATE_TEST_SUITE_P(Types, TensorFaults, testing::ValuesIn(all_types()), [](const auto& type) {
  return std::string(quant::traits(type.param).name);
});

// ---- whole files -------------------------------------------------------------------------------

TEST(Checkup, NoiseIsNoModel) {
  const Checkup checkup = must(check_model(tiny_chat_path()));
  EXPECT_TRUE(find(checkup, "tensors")->good) << faults_of(checkup);
  EXPECT_TRUE(find(checkup, "template")->good) << faults_of(checkup);
  EXPECT_FALSE(find(checkup, "predictions")->good);  // its weights are random
  EXPECT_EQ(checkup.n_faults(), 1) << faults_of(checkup);
}

TEST(Checkup, WhatIsNoModelIsAnError) {
  EXPECT_EQ(check_model("/no/such/file").error().code, ErrorCode::kNotFound);
}

TEST(CheckupRealModels, SoundFilesPass) {
  for (const char* name : {"SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf"}) {
    LLMRUN_REAL_MODEL(path, name);
    const Checkup checkup = must(check_model(path));
    EXPECT_EQ(faults_of(checkup), "") << name;
    EXPECT_GE(checkup.results.size(), 6U);
  }
}

// A copy of the real model that is damaged in place, checked and mended again.
class Damaged {
 public:
  explicit Damaged(const std::filesystem::path& sound) : path_(folder_.file("model.gguf")) {
    std::filesystem::copy_file(sound, path_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

  void write(uint64_t offset, const std::string& bytes) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    std::string before(bytes.size(), '\0');
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(before.data(), static_cast<std::streamsize>(before.size()));
    undo_.emplace_back(offset, before);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  void mend() {
    const auto undo = std::exchange(undo_, {});
    for (auto it = undo.rbegin(); it != undo.rend(); ++it) write(it->first, it->second);
    undo_.clear();
  }
  // Where a metadata value lies in the file.
  [[nodiscard]] uint64_t offset_of(const std::string& key) const {
    const gguf::File file = must(gguf::File::open(path_));
    const gguf::Value* const value = file.metadata().find(key);
    const auto whole = file.mappings()[0].bytes();
    return static_cast<uint64_t>(value->bytes().data() - whole.data());
  }

 private:
  test::TemporaryFolder folder_;
  std::string path_;
  std::vector<std::pair<uint64_t, std::string>> undo_;
};

TEST(CheckupRealModels, DamagedScalesAreCaught) {
  LLMRUN_REAL_MODEL(sound, "SmolLM2-135M-Instruct.Q4_1.gguf");
  Damaged model(sound);
  std::mt19937 random(1);
  int n_caught = 0;
  int n_planted = 0;
  const auto plant = [&](auto change) {
    {
      const gguf::File file = must(gguf::File::open(model.path()));
      const gguf::TensorInfo* tensor = nullptr;
      while (tensor == nullptr || tensor->type != 3) {  // Q4_1: 20 bytes a block, first its scale
        tensor = &file.tensors()[random() % file.tensors().size()];
      }
      const uint64_t block = random() % (tensor->size_bytes / 20);
      const auto at = tensor->offset + block * 20;
      std::string scale(reinterpret_cast<const char*>(tensor->bytes.data()) + block * 20, 2);
      change(scale);
      model.write(at, scale);
    }
    const gguf::File file = must(gguf::File::open(model.path()));
    n_caught += check_file(file).n_faults() > 0 ? 1 : 0;
    ++n_planted;
    model.mend();
  };
  for (int i = 0; i < 6; ++i) plant([](std::string& s) { s[1] = static_cast<char>(s[1] ^ 0x40); });
  EXPECT_EQ(n_caught, 6) << "of 6 flips of the highest exponent bit";
  for (int i = 0; i < 6; ++i) plant([](std::string& s) { s[1] = static_cast<char>(s[1] ^ 0x20); });
  for (int i = 0; i < 3; ++i) plant([](std::string& s) { s = std::string("\x00\x7e", 2); });
  EXPECT_EQ(check_file(must(gguf::File::open(model.path()))).n_faults(), 0);
  std::printf("damaged scales: %d of %d caught\n", n_caught, n_planted);
  RecordProperty("caught", n_caught);
  EXPECT_GE(n_caught, 12);
}

TEST(CheckupRealModels, ZeroedTensorsAreCaught) {
  LLMRUN_REAL_MODEL(sound, "SmolLM2-135M-Instruct.Q4_1.gguf");
  Damaged model(sound);
  for (const char* name : {"blk.3.attn_q.weight", "blk.7.ffn_norm.weight"}) {
    {
      const gguf::File file = must(gguf::File::open(model.path()));
      const gguf::TensorInfo* const tensor = must(file.tensor(name));
      model.write(tensor->offset, std::string(tensor->size_bytes, '\0'));
    }
    EXPECT_THAT(faults_of(check_file(must(gguf::File::open(model.path())))), HasSubstr(name));
    model.mend();
  }
}

TEST(CheckupRealModels, AnotherPreTokenizerIsCaught) {
  LLMRUN_REAL_MODEL(sound, "SmolLM2-135M-Instruct.Q4_1.gguf");
  Damaged model(sound);
  const uint64_t at = model.offset_of("tokenizer.ggml.pre");
  for (const char* name : {"viking", "falcon", "tekken", "llama4"}) {
    model.write(at, name);
    const Checkup checkup = must(check_model(model.path()));
    ASSERT_NE(find(checkup, "pre-tokenizer"), nullptr) << name;
    EXPECT_FALSE(find(checkup, "pre-tokenizer")->good) << name;
    model.mend();
  }
}

TEST(CheckupRealModels, AWrongRopeBaseIsCaught) {
  LLMRUN_REAL_MODEL(sound, "SmolLM2-135M-Instruct.Q4_1.gguf");
  Damaged model(sound);
  const uint64_t at = model.offset_of("llama.rope.freq_base");  // 100,000
  for (const float base : {10000.0F, 1000.0F, 100.0F}) {
    std::string bytes(sizeof base, '\0');
    std::memcpy(bytes.data(), &base, sizeof base);
    model.write(at, bytes);
    EXPECT_GT(must(check_model(model.path())).n_faults(), 0) << base;
    model.mend();
  }
}

}  // namespace
}  // namespace llmrun
