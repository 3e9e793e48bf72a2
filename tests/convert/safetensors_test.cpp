// The directory of .safetensors files: what is read, and what is refused with which words.
#include "convert/safetensors.h"

#include <gmock/gmock.h>

#include "convert/hf_folder.h"

namespace llmrun::convert {
namespace {

using test::bytes_of;
using test::safetensors_file;
using ::testing::HasSubstr;

Error error_of(std::string_view header, std::string_view data) {
  const std::string file = safetensors_file(header, data);
  const auto tensors = read_safetensors(bytes_of(file), "x.safetensors");
  EXPECT_FALSE(tensors) << header;
  return tensors ? Error{} : tensors.error();
}

TEST(Safetensors, GivesTensorsInTheOrderOfTheirBytes) {
  const std::string file = safetensors_file(
      R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"__metadata__":{"format":"pt"},)"
      R"("a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})",
      std::string_view("\x80\x3f\x00\x40\x00\x00\x40\x40\x00\x00\x80\xbf", 12));
  const auto tensors = read_safetensors(bytes_of(file), "x.safetensors");
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2U);
  const SourceTensor& a = (*tensors)[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.shape, (std::vector<uint64_t>{1, 2}));
  float values[2] = {};
  a.dtype->to_float(a.bytes.data(), 2, values);
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], 2.0F);
  const SourceTensor& b = (*tensors)[1];
  b.dtype->to_float(b.bytes.data(), 2, values);
  EXPECT_EQ(values[0], 3.0F);
  EXPECT_EQ(values[1], -1.0F);
}

TEST(Safetensors, RefusesFilesThatAreNone) {
  for (const std::string& file :
       {std::string(), std::string("short"),
        std::string("version https://git-lfs.github.com/spec/v1\n"), safetensors_file("{", ""),
        safetensors_file("[]", ""), safetensors_file("\"\"", "")}) {
    const auto tensors = read_safetensors(bytes_of(file), "x.safetensors");
    ASSERT_FALSE(tensors);
    EXPECT_EQ(tensors.error().code, ErrorCode::kBadModel);
    EXPECT_THAT(tensors.error().context, HasSubstr("x.safetensors"));
  }
}

TEST(Safetensors, RefusesOffsetsOutsideTheFile) {
  const Error error =
      error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234567");
  EXPECT_THAT(error.message, HasSubstr("cut short"));
  EXPECT_THAT(error.context, HasSubstr("tensor 'a'"));
  error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "12345678");
  error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551615,3]}})", "1234");
}

TEST(Safetensors, RefusesShapesThatDoNotFit) {
  error_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "12345678");
  error_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234");
  error_of(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", "1");
  // 2^32 * 2^32 * 4 wraps to 0.
  error_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "");
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  const Error overlap = error_of(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                                 R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                                 "1234");
  EXPECT_THAT(overlap.message, HasSubstr("overlap"));
  error_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "12");
  error_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "12");
}

TEST(Safetensors, NamesADtypeItDoesNotKnow) {
  const Error error = error_of(R"({"a":{"dtype":"F2_X","shape":[4],"data_offsets":[0,1]}})", "1");
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("F2_X"));
}

TEST(Safetensors, RefusesDeepJson) {
  const std::string deep = std::string(100000, '[');
  EXPECT_THAT(error_of(deep, "").message, HasSubstr("nested"));
}

}  // namespace
}  // namespace llmrun::convert
