// The changes of layout, and weights with block scales.
#include "convert/rows.h"

#include <gmock/gmock.h>

#include <numeric>

#include "convert/conversion.h"
#include "convert/hf_folder.h"

namespace llmrun::convert {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

// 0, 1, 2, … in this shape.
Rows counting(std::vector<int64_t> shape) {
  Rows rows;
  rows.shape = std::move(shape);
  rows.read = [width = rows.width()](int64_t first, int64_t n, float* out) {
    std::iota(out, out + n * width, static_cast<float>(first * width));
  };
  return rows;
}

std::vector<float> all_of(const Rows& rows) {
  std::vector<float> values(static_cast<size_t>(rows.n_elements()));
  rows.read(0, rows.n_rows(), values.data());
  // One row at a time gives the same.
  std::vector<float> again(values.size());
  for (int64_t i = 0; i < rows.n_rows(); ++i) rows.read(i, 1, again.data() + i * rows.width());
  EXPECT_THAT(again, ElementsAreArray(values));
  return values;
}

TEST(Rows, AreReordered) {
  const Rows rows = reordered(counting({3, 2}), [](int64_t row) { return 2 - row; });
  EXPECT_THAT(all_of(rows), ElementsAre(4, 5, 2, 3, 0, 1));
}

TEST(Rows, KeepTheirOrderInAnotherShape) {
  const Rows rows = reshaped(counting({4, 3}), {6, 2});
  EXPECT_EQ(rows.n_rows(), 6);
  EXPECT_THAT(all_of(rows), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST(Rows, AreCutAndJoined) {
  const Rows rows = joined({part_of(counting({4, 2}), 3, 1), part_of(counting({4, 2}), 0, 2)});
  EXPECT_THAT(rows.shape, ElementsAre(3, 2));
  EXPECT_THAT(all_of(rows), ElementsAre(6, 7, 0, 1, 2, 3));
}

TEST(Rows, AreTransposedMatrixByMatrix) {
  const Rows rows = transposed(counting({2, 2, 3}));
  EXPECT_THAT(rows.shape, ElementsAre(2, 3, 2));
  EXPECT_THAT(all_of(rows), ElementsAre(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11));
}

TEST(Rows, AreStackedUnderANewDimension) {
  const Rows rows = stacked({counting({1, 2}), shifted(counting({1, 2}), 10.0F)});
  EXPECT_THAT(rows.shape, ElementsAre(2, 1, 2));
  EXPECT_THAT(all_of(rows), ElementsAre(0, 1, 10, 11));
}

// A 3 x 3 FP8 matrix of ones, in blocks of 2 x 2 with a factor each.
TEST(Conversion, ScalesTheBlocksOfFp8Weights) {
  const std::string weights(9, '\x38');  // 1.0 in E4M3
  const std::vector<float> scales = {1, 2, 3, 4};
  std::vector<SourceTensor> tensors(2);
  tensors[0] = {"w.weight", find_dtype("F8_E4M3"), {3, 3}, 9, test::bytes_of(weights)};
  tensors[1] = {
      "w.weight_scale_inv", find_dtype("F32"), {2, 2}, 4, std::as_bytes(std::span(scales))};
  const auto checkpoint = Checkpoint::from_tensors(tensors);
  ASSERT_TRUE(checkpoint);
  const Config config(
      parse_json(R"({"quantization_config":{"weight_block_size":[2,2]}})", "config.json").value(),
      "config.json");
  gguf::Writer writer;
  Conversion conversion(config, *checkpoint, writer, true);
  EXPECT_THAT(all_of(conversion.take("w.weight")), ElementsAre(1, 1, 2, 1, 1, 2, 3, 3, 4));
  conversion.check_all_used();
  EXPECT_TRUE(config.ok());
}

TEST(Conversion, TellsWhatAWeightLacks) {
  const std::string bytes(8, '\0');
  std::vector<SourceTensor> tensors(1);
  tensors[0] = {"w.weight", find_dtype("I8"), {2, 4}, 8, test::bytes_of(bytes)};
  const auto checkpoint = Checkpoint::from_tensors(tensors);
  ASSERT_TRUE(checkpoint);
  const auto error_of = [&](auto&& use) {
    const Config config(nullptr, "config.json");
    gguf::Writer writer;
    Conversion conversion(config, *checkpoint, writer, true);
    use(conversion);
    EXPECT_FALSE(config.ok());
    return config.ok() ? std::string() : config.result().error().message;
  };
  EXPECT_THAT(error_of([](Conversion& c) { c.take("w.weight"); }), HasSubstr("I8"));
  EXPECT_THAT(error_of([](Conversion& c) { c.take("v.weight"); }), HasSubstr("'v.weight'"));
  EXPECT_THAT(error_of([](Conversion& c) { c.check_all_used(); }), HasSubstr("'w.weight'"));
}

}  // namespace
}  // namespace llmrun::convert
