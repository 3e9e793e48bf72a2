// Typed access to metadata: conversions that fit, and errors that name what was wrong.
#include "gguf/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gguf/metadata.h"
#include "gguf/tiny_model.h"

namespace llmrun::gguf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ValueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bytes_ = test::tiny_writer().to_bytes().value();
    auto file = File::from_bytes(bytes_);
    ASSERT_TRUE(file) << file.error().message;
    file_.emplace(*std::move(file));
  }
  const Metadata& metadata() { return file_->metadata(); }
  template <typename T>
  std::string error_of(std::string_view key) {
    const auto result = metadata().get<T>(key);
    return result ? std::string("no error") : result.error().message;
  }

  std::vector<std::byte> bytes_;
  std::optional<File> file_;
};

TEST_F(ValueTest, EachTypeAsItself) {
  EXPECT_EQ(metadata().get<uint8_t>("t.u8").value(), 200);
  EXPECT_EQ(metadata().get<int8_t>("t.i8").value(), -100);
  EXPECT_EQ(metadata().get<uint16_t>("t.u16").value(), 60'000);
  EXPECT_EQ(metadata().get<int16_t>("t.i16").value(), -30'000);
  EXPECT_EQ(metadata().get<uint32_t>("t.u32").value(), 4'000'000'000U);
  EXPECT_EQ(metadata().get<int32_t>("t.i32").value(), -2'000'000'000);
  EXPECT_EQ(metadata().get<uint64_t>("t.u64").value(), 18'000'000'000'000'000'000ULL);
  EXPECT_EQ(metadata().get<int64_t>("t.i64").value(), -9'000'000'000'000'000'000LL);
  EXPECT_EQ(metadata().get<float>("t.f32").value(), 0.5F);
  EXPECT_EQ(metadata().get<double>("t.f64").value(), 1e300);
  EXPECT_TRUE(metadata().get<bool>("t.bool").value());
  EXPECT_EQ(metadata().get<std::string>("general.architecture").value(), "tiny");
}

TEST_F(ValueTest, IntegersConvertWhenTheyFit) {
  EXPECT_EQ(metadata().get<int64_t>("t.u32").value(), 4'000'000'000);
  EXPECT_EQ(metadata().get<uint64_t>("t.u8").value(), 200U);
  EXPECT_EQ(metadata().get<int8_t>("t.i8").value(), -100);
  EXPECT_FALSE(metadata().get<int32_t>("t.u32"));
  EXPECT_FALSE(metadata().get<uint32_t>("t.i32"));
  EXPECT_FALSE(metadata().get<int64_t>("t.u64"));
  EXPECT_FALSE(metadata().get<int8_t>("t.u8"));
  EXPECT_FALSE(metadata().get<uint64_t>("t.i64"));
}

TEST_F(ValueTest, FloatsConvertWhenTheyFit) {
  EXPECT_EQ(metadata().get<double>("t.f32").value(), 0.5);
  EXPECT_FALSE(metadata().get<float>("t.f64"));
  EXPECT_FALSE(metadata().get<float>("t.u32"));
  EXPECT_FALSE(metadata().get<uint32_t>("t.f32"));
}

TEST_F(ValueTest, ErrorsNameKeyWantedAndFound) {
  EXPECT_THAT(error_of<uint32_t>("t.i32"),
              AllOf(HasSubstr("'t.i32'"), HasSubstr("wanted a non-negative integer"),
                    HasSubstr("found a signed 32-bit integer (-2000000000)")));
  EXPECT_THAT(error_of<std::string>("t.tokens"),
              AllOf(HasSubstr("wanted a string"), HasSubstr("found an array of 3 strings")));
  EXPECT_THAT(error_of<bool>("t.u8"),
              AllOf(HasSubstr("wanted a boolean"), HasSubstr("an unsigned 8-bit integer (200)")));
  EXPECT_THAT(error_of<float>("general.architecture"), HasSubstr("found the string \"tiny\""));
  EXPECT_THAT(error_of<float>("no.such.key"), HasSubstr("no metadata key 'no.such.key'"));
  EXPECT_EQ(metadata().get<float>("no.such.key").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(metadata().get<float>("t.u8").error().code, ErrorCode::kBadModel);
}

TEST_F(ValueTest, AFallbackIsForMissingKeysOnly) {
  EXPECT_EQ(metadata().get_or<uint32_t>("none", 7).value(), 7U);
  EXPECT_EQ(metadata().get_or<uint32_t>("t.u8", 7).value(), 200U);
  EXPECT_FALSE(metadata().get_or<uint32_t>("t.f32", 7));
}

TEST_F(ValueTest, Arrays) {
  EXPECT_THAT(metadata().get_array<int32_t>("t.numbers").value(), ElementsAre(3, -4, 5));
  EXPECT_THAT(metadata().get_array<int64_t>("t.numbers").value(), ElementsAre(3, -4, 5));
  EXPECT_THAT(metadata().get_array<std::string_view>("t.tokens").value(),
              ElementsAre("a", "", "bc"));
  EXPECT_THAT(metadata().get_array<bool>("t.flags").value(), ElementsAre(true, false));
  EXPECT_TRUE(metadata().get_array_or_empty<float>("none").value().empty());
  EXPECT_EQ(metadata().get_array<float>("none").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(metadata().get_array<uint32_t>("t.numbers").error().message,
              AllOf(HasSubstr("'t.numbers'"), HasSubstr("element 1 of 3"), HasSubstr("(-4)")));
  EXPECT_THAT(metadata().get_array<float>("t.u8").error().message, HasSubstr("wanted an array"));
  EXPECT_THAT(metadata().get_array<int32_t>("t.nested").error().message,
              HasSubstr("is an array of 2 strings"));
}

TEST_F(ValueTest, TextOfTheFileIsNotCopied) {
  const auto tokens = metadata().get_array<std::string_view>("t.tokens").value();
  const auto* begin = reinterpret_cast<const char*>(bytes_.data());
  EXPECT_GE(tokens[2].data(), begin);
  EXPECT_LT(tokens[2].data(), begin + bytes_.size());
}

TEST_F(ValueTest, NestedArrays) {
  const Value* nested = metadata().find("t.nested");
  ASSERT_NE(nested, nullptr);
  EXPECT_EQ(nested->describe(), "an array of 2 arrays");
  const auto outer = nested->elements().value();
  ASSERT_EQ(outer.size(), 2U);
  EXPECT_THAT(outer[0].as_array<std::string>().value(), ElementsAre("x", "yz"));
  const auto inner = outer[1].elements().value();
  ASSERT_EQ(inner.size(), 1U);
  EXPECT_THAT(inner[0].as_array<int>().value(), ElementsAre(1, 2));
  EXPECT_FALSE(inner[0].elements());
}

TEST_F(ValueTest, OneNumberOrOneForEachLayer) {
  EXPECT_THAT(metadata().get_per_layer<int32_t>("t.numbers", 3).value(), ElementsAre(3, -4, 5));
  EXPECT_THAT(metadata().get_per_layer<int32_t>("t.u8", 2).value(), ElementsAre(200, 200));
  EXPECT_THAT(metadata().get_per_layer<int32_t>("t.numbers", 4).error().message,
              HasSubstr("array of 3 elements; wanted one for each of 4"));
  // A layer count out of a hostile file must not be allocated.
  EXPECT_EQ(metadata().get_per_layer<int32_t>("t.u8", size_t{1} << 40).error().code,
            ErrorCode::kBadModel);
}

TEST_F(ValueTest, Display) {
  const auto shown = [&](std::string_view key) { return metadata().find(key)->to_display(2, 4); };
  EXPECT_EQ(shown("t.numbers"), "[3, -4, … (3 in all)]");
  EXPECT_EQ(shown("t.nested"), "[[\"x\", \"yz\"], [[1, 2]]]");
  EXPECT_EQ(shown("t.f32"), "0.5");
  EXPECT_EQ(shown("t.bool"), "true");
  EXPECT_EQ(shown("general.architecture"), "\"tiny\"");
}

TEST(ValueDisplay, AHostileTextCannotDriveTheTerminal) {
  test::Bytes bytes;
  bytes.text(
      "\x1b[31m\n\x7f\xC2\x9B"
      "31m\xFF");
  ByteCursor cursor(bytes.get());
  const auto value = Value::scan(cursor, ValueType::kString);
  ASSERT_TRUE(value);
  EXPECT_EQ(value->to_display(), "\"\\x1b[31m\\n\\x7f\\x9b31m\uFFFD\"");
  EXPECT_EQ(value->to_display(1, 3), "\"\\x1b[3…\" (13 bytes)");
}

}  // namespace
}  // namespace llmrun::gguf
