// Each folder of tests/data/convert is converted and run; logits and token ids must be those that
// transformers and tokenizers gave (make_references.py).
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file_io.h"
#include "base/npy.h"
#include "base/temporary_folder.h"
#include "convert/converter.h"
#include "models/tiny.h"
#include "paths.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

const std::string kData = std::string(tests::kSourceDir) + "/tests/data/convert/";

std::vector<std::string> folders() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kData)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Reference : public ::testing::TestWithParam<std::string> {
 protected:
  // Converts the folder; empty when that failed.
  std::string convert(std::optional<quant::TensorType> type) {
    convert::ConvertRequest request;
    request.folder = kData + GetParam();
    request.output = temporary_.file("out.gguf");
    request.type = type;
    request.threads = 2;
    const auto report = convert::convert_folder(request);
    EXPECT_TRUE(report) << report.error().message << " " << report.error().context;
    return report ? request.output : std::string();
  }
  // Normalised error of the stored positions.
  double error_of(const std::string& path) {
    auto backend = testing::cpu_backend();
    auto tiny = testing::open_tiny(path, *backend);
    EXPECT_TRUE(tiny) << (tiny ? "" : tiny.error().message);
    if (!tiny) return std::nan("");
    auto context = tiny->model->new_context(testing::float_cache());
    EXPECT_TRUE(context);
    const auto logits = testing::run_chunked(**context, testing::kIds, testing::kIds.size());
    const auto expected = read_npy(kData + GetParam() + "/logits.npy");
    EXPECT_TRUE(logits) << (logits ? "" : logits.error().message);
    EXPECT_TRUE(expected) << (expected ? "" : expected.error().message);
    if (!logits || !expected) return std::nan("");
    const auto rows = expected->as<float>();
    return testing::normalised_error(std::span(*logits).last(rows.size()), rows);
  }
  test::TemporaryFolder temporary_;
};

TEST_P(Reference, HasTheLogitsOfTransformers) {
  const std::string path = convert(quant::TensorType::F32);
  ASSERT_FALSE(path.empty());
  const double error = error_of(path);
  fmt::print("{:<12} f32 {:.2e}\n", GetParam(), error);
  EXPECT_LT(error, 1e-6);  // also fails for NaN
}

// The folders hold BF16, so nothing is lost; only the arithmetic may differ.
TEST_P(Reference, AsStoredLosesOnlyArithmetic) {
  const std::string path = convert(std::nullopt);
  ASSERT_FALSE(path.empty());
  const double error = error_of(path);
  fmt::print("{:<12} as stored {:.2e}\n", GetParam(), error);
  EXPECT_LT(error, 2e-3);
}

TEST_P(Reference, Q8LosesLittle) {
  const std::string path = convert(quant::TensorType::Q8_0);
  ASSERT_FALSE(path.empty());
  const double error = error_of(path);
  fmt::print("{:<12} q8_0 {:.2e}\n", GetParam(), error);
  EXPECT_LT(error, 2e-2);
}

TEST_P(Reference, TokenizesAsBefore) {
  const std::string path = convert(quant::TensorType::F32);
  ASSERT_FALSE(path.empty());
  const auto file = gguf::File::open(path);
  ASSERT_TRUE(file);
  const auto data = tokenizer::read_vocabulary(file->metadata());
  ASSERT_TRUE(data) << data.error().message;
  const auto tokenizer = tokenizer::Tokenizer::create(*data);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const auto text = read_file(kData + GetParam() + "/ids.json", 1 << 20);
  ASSERT_TRUE(text);
  const auto cases = nlohmann::json::parse(*text);
  ASSERT_GE(cases.size(), 10U);
  for (const auto& one : cases) {
    const auto input = one["text"].get<std::string>();
    const auto ids = (*tokenizer)->encode(input, {.add_special = true, .parse_special = true});
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_THAT(*ids, ::testing::ElementsAreArray(one["ids"].get<std::vector<TokenId>>())) << input;
  }
}

std::string name_of(const ::testing::TestParamInfo<std::string>& folder) {
  std::string name = folder.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Folders, Reference, ::testing::ValuesIn(folders()), name_of);

TEST(References, CoverTheFamilies) { EXPECT_GE(folders().size(), 11U); }

}  // namespace
}  // namespace llmrun
