// Files that come out of the Writer and go back through the reader.
#include "gguf/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_io.h"
#include "base/temporary_folder.h"
#include "gguf/tiny_model.h"

namespace llmrun::gguf {
namespace {

using llmrun::test::TemporaryFolder;
using test::kF32;
using test::kQ4_0;
using ::testing::HasSubstr;

constexpr std::array<float, 8> kData = {1, 2, 3, 4, 5, 6, 7, 8};
constexpr std::array<uint64_t, 1> kDims = {8};

std::span<const std::byte> data() { return std::as_bytes(std::span(kData)); }

TEST(GgufWriter, ACopyIsTheSameFile) {
  const auto bytes = test::tiny_writer().to_bytes().value();
  const auto file = File::from_bytes(bytes).value();
  Writer copy;
  for (const Metadata::Entry& entry : file.metadata().entries()) {
    copy.add_metadata(entry.key, entry.value);
  }
  for (const TensorInfo& tensor : file.tensors()) {
    copy.add_tensor(tensor.name, tensor.type, std::span(tensor.dims).first(tensor.n_dims),
                    tensor.data());
  }
  EXPECT_EQ(copy.to_bytes().value(), bytes);
}

TEST(GgufWriter, AFileIsWhatToBytesGives) {
  const TemporaryFolder folder;
  const auto bytes = test::tiny_writer(64).to_bytes().value();
  ASSERT_TRUE(test::tiny_writer(64).write(folder.file("a.gguf")));
  const std::string file = read_file(folder.file("a.gguf"), 1 << 20).value();
  const auto read = std::as_bytes(std::span(file));
  EXPECT_TRUE(std::equal(read.begin(), read.end(), bytes.begin(), bytes.end()));
  EXPECT_EQ(folder.n_files(), 1U);
}

TEST(GgufWriter, TensorsCanBeMadeWhileWriting) {
  Writer writer;
  writer.add_tensor("w", kF32, kDims, [](const Writer::Sink& sink) -> Result<void> {
    for (const float& number : kData) {
      auto written = sink(std::as_bytes(std::span(&number, 1)));
      if (!written) return written;
    }
    return {};
  });
  writer.add_tensor("v", kF32, kDims, data());
  const auto bytes = writer.to_bytes().value();
  const auto file = File::from_bytes(bytes).value();
  for (const char* name : {"w", "v"}) {
    const auto read = file.find_tensor(name)->data();
    EXPECT_TRUE(std::equal(read.begin(), read.end(), data().begin()));
  }
}

TEST(GgufWriter, ASourceMustKeepItsWord) {
  for (const size_t n_bytes : {size_t{28}, size_t{36}}) {
    Writer writer;
    writer.add_tensor("w", kF32, kDims, [n_bytes](const Writer::Sink& sink) {
      return sink(std::vector<std::byte>(n_bytes));
    });
    const auto bytes = writer.to_bytes();
    ASSERT_FALSE(bytes);
    EXPECT_THAT(bytes.error().context, HasSubstr("tensor 'w'"));
    const TemporaryFolder folder;
    EXPECT_FALSE(writer.write(folder.file("a.gguf")));
    EXPECT_EQ(folder.n_files(), 0U);
  }
}

TEST(GgufWriter, RemembersMistakes) {
  const auto error_of = [](const std::function<void(Writer&)>& build) {
    Writer writer;
    build(writer);
    const auto bytes = writer.to_bytes();
    return bytes ? std::string("no error") : bytes.error().message;
  };
  EXPECT_EQ(error_of([](Writer&) {}), "no error");
  EXPECT_THAT(error_of([](Writer& w) {
                w.add_metadata("a", 1);
                w.add_metadata("a", 2);
              }),
              HasSubstr("'a' is empty, too long, or stands twice"));
  EXPECT_THAT(error_of([](Writer& w) {
                w.add_metadata("a", ArrayBuilder(ValueType::kInt32).add(1).add("x"));
              }),
              HasSubstr("mixes"));
  EXPECT_THAT(error_of([](Writer& w) {
                w.add_tensor("a", kF32, kDims, data());
                w.add_tensor("a", kF32, kDims, data());
              }),
              HasSubstr("stands twice"));
  EXPECT_THAT(error_of([](Writer& w) { w.add_tensor("a", kQ4_0, kDims, data()); }),
              HasSubstr("impossible shape"));
  EXPECT_THAT(error_of([](Writer& w) { w.add_tensor("a", 4, kDims, data()); }),
              HasSubstr("unknown type"));
  EXPECT_THAT(error_of([](Writer& w) { w.add_tensor("a", kF32, kDims, data().first(28)); }),
              HasSubstr("was given 28"));
  EXPECT_FALSE(Writer(12).to_bytes());
}

}  // namespace
}  // namespace llmrun::gguf
