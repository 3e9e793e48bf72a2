// .npy files: round trips, what NumPy writes, and damage.
#include "base/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/temporary_folder.h"
#include "paths.h"

namespace llmrun {
namespace {

using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// A version 1.0 file with this header and these bytes of data.
std::string npy(std::string header, std::string_view data) {
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return file + header + std::string(data);
}

template <typename T>
void expect_round_trip(const std::vector<uint64_t>& shape, const std::vector<T>& elements) {
  const TemporaryFolder folder;
  const auto written = write_npy(folder.file("a.npy"), std::span<const uint64_t>(shape),
                                 std::span<const T>(elements));
  ASSERT_TRUE(written) << written.error().message;
  const auto array = read_npy(folder.file("a.npy"));
  ASSERT_TRUE(array) << array.error().message;
  EXPECT_EQ(array->shape, shape);
  const auto read = array->template as<T>();
  EXPECT_EQ(std::vector<T>(read.begin(), read.end()), elements);
  // The data begins at a multiple of 64, as the format asks.
  EXPECT_EQ((std::filesystem::file_size(folder.file("a.npy")) - elements.size() * sizeof(T)) % 64,
            0U);
}

TEST(Npy, RoundTrips) {
  expect_round_trip<float>({2, 3}, {1.5F, -2.0F, 0.0F, 1e30F, 3.25F, -0.5F});
  expect_round_trip<int32_t>({4}, {1, -2, 2'147'483'647, 0});
  expect_round_trip<uint8_t>({2, 1, 2}, {0, 255, 7, 9});
  expect_round_trip<float>({}, {42.0F});
  expect_round_trip<float>({0, 5}, {});
}

TEST(Npy, ReadsTheHeadersOfNumPy) {
  // As np.save writes them (versions 1 and 2), spaces and all.
  const std::string one = npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }          ",
                              std::string_view("\x01\0\0\0\xFF\xFF\xFF\xFF", 8));
  const auto array = parse_npy(as_bytes(one));
  ASSERT_TRUE(array) << array.error().message;
  EXPECT_THAT(array->as<int32_t>(), ElementsAre(1, -1));
  EXPECT_TRUE(array->as<float>().empty());

  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2)}";
  std::string two("\x93NUMPY\x02\x00", 8);
  two += static_cast<char>(header.size());
  two += std::string("\0\0\0", 3) + header + "ab";
  EXPECT_THAT(parse_npy(as_bytes(two)).value().as<uint8_t>(), ElementsAre('a', 'b'));
}

TEST(Npy, RefusesWhatItCannotRead) {
  const auto error_of = [](const std::string& file) {
    const auto array = parse_npy(as_bytes(file));
    return array ? std::string("no error") : array.error().message;
  };
  EXPECT_THAT(error_of("PK"), HasSubstr("NUMPY"));
  EXPECT_THAT(
      error_of(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", "12345678")),
      HasSubstr("float32"));
  EXPECT_THAT(error_of(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (1,), }", "1")),
              HasSubstr("Fortran"));
  EXPECT_THAT(error_of(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "1")),
              HasSubstr("length"));
  EXPECT_THAT(error_of(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1 1), }", "1")),
              HasSubstr("shape"));
  EXPECT_THAT(error_of(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (", "1")),
              HasSubstr("shape"));
  EXPECT_THAT(error_of(npy("{'descr': '<f4', 'fortran_order': False, "
                           "'shape': (4294967296, 4294967296), }",
                           "")),
              HasSubstr("length"));
  EXPECT_THAT(error_of(npy("{'descr': '|u1'}", "1")), HasSubstr("key"));
}

TEST(Npy, ATruncatedFileIsAnErrorAtEveryByte) {
  const std::string whole =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1234");
  ASSERT_TRUE(parse_npy(as_bytes(whole)));
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(parse_npy(as_bytes(std::string_view(whole).substr(0, n)))) << n;
  }
}

TEST(Npy, AnUnfinishedArrayIsNotWritten) {
  const TemporaryFolder folder;
  const std::vector<uint64_t> shape = {4};
  const std::vector<float> half = {1.0F, 2.0F};
  {
    auto writer = NpyWriter::create(folder.file("a.npy"), NpyType::kFloat32, shape);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->write(std::span<const float>(half)));
    EXPECT_FALSE(writer->commit());
    ASSERT_TRUE(writer->write(std::span<const float>(half)));
    EXPECT_FALSE(writer->write(std::span<const float>(half)));  // too many
  }
  EXPECT_EQ(folder.n_files(), 0U);
}

// What other programs wrote, when it is there.
TEST(Npy, ReadsReferenceFiles) {
  const std::filesystem::path folder(std::string(tests::kSharedDir) + "/golden/quants");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "skipped: no ../shared";
  const auto weights = read_npy((folder / "weights_f32.npy").string());
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_THAT(weights->shape, ElementsAre(6, 1024));
  EXPECT_EQ(weights->as<float>().size(), 6U * 1024U);
  const auto raw = read_npy((folder / "q4_K.raw.npy").string());
  ASSERT_TRUE(raw) << raw.error().message;
  EXPECT_THAT(raw->shape, ElementsAre(6, 576));
}

}  // namespace
}  // namespace llmrun
