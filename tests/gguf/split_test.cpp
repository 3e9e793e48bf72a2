// Models in several files.
#include "gguf/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <numeric>

#include "base/temporary_folder.h"
#include "gguf/tiny_model.h"

namespace llmrun::gguf {
namespace {

using llmrun::test::TemporaryFolder;
using test::kF32;
using ::testing::HasSubstr;

constexpr std::array<float, 4> kData = {1, 2, 3, 4};
constexpr std::array<uint64_t, 1> kDims = {4};

struct PartOptions {
  uint16_t number = 0;
  uint16_t count = 3;
  int32_t n_tensors = 6;
  std::string tensor_prefix;
};

// A part with two tensors.
void write_part(const std::string& path, const PartOptions& options) {
  Writer writer;
  if (options.number == 0) writer.add_metadata("general.architecture", "tiny");
  writer.add_metadata("split.no", options.number);
  writer.add_metadata("split.count", options.count);
  writer.add_metadata("split.tensors.count", options.n_tensors);
  for (const char* name : {".a", ".b"}) {
    writer.add_tensor(options.tensor_prefix + name, kF32, kDims, std::as_bytes(std::span(kData)));
  }
  ASSERT_TRUE(writer.write(path));
}

class SplitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (uint16_t i = 0; i < 3; ++i) {
      write_part(part(i + 1U), {.number = i, .tensor_prefix = "t" + std::to_string(i)});
    }
  }
  std::string part(uint32_t index) { return split_path({folder_.file("m-Q4"), 1, 3}, index); }
  std::string error_of(uint32_t index) {
    const auto file = File::open(part(index));
    return file ? std::string("no error") : file.error().context + ": " + file.error().message;
  }

  TemporaryFolder folder_;
};

TEST(SplitName, Parses) {
  const auto name = parse_split_name("/m/x-00002-of-00010.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "/m/x");
  EXPECT_EQ(name->index, 2U);
  EXPECT_EQ(name->count, 10U);
  EXPECT_EQ(split_path(*name, 7), "/m/x-00007-of-00010.gguf");
  for (const char* text :
       {"x.gguf", "x-0002-of-00010.gguf", "x-00000-of-00010.gguf", "x-00011-of-00010.gguf",
        "x-00001-of-00002.bin", "00001-of-00002.gguf", "x-00001-of-0000a.gguf", "-of-.gguf", ""}) {
    EXPECT_FALSE(parse_split_name(text)) << text;
  }
}

TEST_F(SplitTest, AnyPartOpensAll) {
  for (const uint32_t index : {1U, 2U, 3U}) {
    const auto file = File::open(part(index));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->n_parts(), 3U);
    EXPECT_EQ(file->tensors().size(), 6U);
    EXPECT_EQ(file->metadata().get<std::string>("general.architecture").value(), "tiny");
    const TensorInfo* last = file->find_tensor("t2.b");
    ASSERT_NE(last, nullptr);
    EXPECT_EQ(last->part, 2U);
    EXPECT_TRUE(std::equal(last->data().begin(), last->data().end(),
                           std::as_bytes(std::span(kData)).begin()));
    uint64_t size = 0;
    for (uint32_t i = 1; i <= 3; ++i) size += std::filesystem::file_size(part(i));
    EXPECT_EQ(file->size_bytes(), size);
  }
}

TEST_F(SplitTest, OnePartAlone) {
  const auto file = File::open(part(2), {.find_parts = false});
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors().size(), 2U);
}

TEST_F(SplitTest, AMissingPartIsNamed) {
  std::filesystem::remove(part(2));
  EXPECT_THAT(error_of(1), HasSubstr(part(2)));
  EXPECT_THAT(error_of(1), HasSubstr("part 2 of 3"));
  EXPECT_EQ(File::open(part(1)).error().code, ErrorCode::kNotFound);
}

TEST_F(SplitTest, PartsMustBelongTogether) {
  write_part(part(2), {.number = 2, .tensor_prefix = "t1"});
  EXPECT_THAT(error_of(1), HasSubstr("part 2 of 3, by its metadata part 3 of 3"));
  write_part(part(2), {.number = 1, .count = 4, .tensor_prefix = "t1"});
  EXPECT_THAT(error_of(1), HasSubstr("by its metadata part 2 of 4"));
  write_part(part(2), {.number = 1, .tensor_prefix = "t0"});
  EXPECT_THAT(error_of(1), HasSubstr("'t0.a' stands twice"));
  write_part(part(2), {.number = 1, .tensor_prefix = "t1"});
  write_part(part(1), {.number = 0, .n_tensors = 7, .tensor_prefix = "t0"});
  EXPECT_THAT(error_of(3), HasSubstr("6 tensors, not 7"));
}

TEST_F(SplitTest, ARenamedPartIsNotTakenForTheModel) {
  std::filesystem::rename(part(1), folder_.file("model.gguf"));
  const auto file = File::open(folder_.file("model.gguf"));
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("one of 3 parts"));
}

TEST_F(SplitTest, ANormalFileMayCarryASplitName) {
  Writer writer;
  writer.add_metadata("general.architecture", "tiny");
  ASSERT_TRUE(writer.write(folder_.file("one-00001-of-00001.gguf")));
  EXPECT_TRUE(File::open(folder_.file("one-00001-of-00001.gguf")));
}

}  // namespace
}  // namespace llmrun::gguf
