// Names on the Hugging Face hub, and which files of a repository they mean.
#include "store/hf_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "store/hf_choice.h"

namespace llmrun::store {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(HfName, Forms) {
  struct Case {
    const char* text;
    const char* user;
    const char* repo;
    const char* quant;
    const char* file;
  };
  for (const Case& c : {
           Case{"hf:u/r", "u", "r", "", ""},
           {"HF:Some-User/Some.Repo_1-GGUF:Q4_K_M", "Some-User", "Some.Repo_1-GGUF", "Q4_K_M", ""},
           {"hf:u/r:UD-IQ1_S", "u", "r", "UD-IQ1_S", ""},
           {"hf:u/r/m.gguf", "u", "r", "", "m.gguf"},
           {"hf:u/r/BF16/m-00001-of-00002.GGUF", "u", "r", "", "BF16/m-00001-of-00002.GGUF"},
           {"https://huggingface.co/u/r", "u", "r", "", ""},
           {"https://huggingface.co/u/r/blob/main/a/m.gguf", "u", "r", "", "a/m.gguf"},
           {"https://hf.co/u/r/resolve/main/m.gguf?download=true", "u", "r", "", "m.gguf"},
       }) {
    ASSERT_TRUE(is_hf_name(c.text)) << c.text;
    const auto name = parse_hf_name(c.text);
    ASSERT_TRUE(name) << c.text;
    EXPECT_EQ(name->user, c.user) << c.text;
    EXPECT_EQ(name->repo, c.repo) << c.text;
    EXPECT_EQ(name->quant, c.quant) << c.text;
    EXPECT_EQ(name->file, c.file) << c.text;
    EXPECT_EQ(parse_hf_name(name->text())->text(), name->text());
  }
}

TEST(HfName, RefusesWhatIsNoneOrLeadsAway) {
  for (const char* text : {"",
                           "h",
                           "hf",
                           "hf:",
                           "hf:u",
                           "hf:u/",
                           "hf:/r",
                           "hf:u/r:",
                           "hf:u/r/",
                           "hf:u/r:q/m.gguf",
                           "hf:../r",
                           "hf:u/..",
                           "hf:u/r/../../x.gguf",
                           "hf:u/r//m.gguf",
                           "hf:u/r/a/../m.gguf",
                           "hf:u/r/m.bin",
                           "hf:u/r/.gguf/",
                           "hf:u/r/a\\m.gguf",
                           "hf:u/r/a\nm.gguf",
                           "hf:u--x/r",
                           "hf:u/r..x",
                           "hf:-u/r",
                           "hf:u/r:../q",
                           "hf:u/r:a b",
                           "hf:u/r/\xff.gguf",
                           "https://huggingface.co/u/r/tree/main",
                           "https://huggingface.co/u/r/blob/main/../m.gguf",
                           "hf.co/u/r",
                           "u/r"}) {
    const auto name = parse_hf_name(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().code, ErrorCode::kUsage) << text;
  }
  EXPECT_FALSE(is_hf_name("hf.co/u/r"));  // a registry that speaks Ollama's protocol
  EXPECT_FALSE(is_hf_name("https://example.com/m.gguf"));
}

TEST(HfName, RandomTextsParseSafely) {
  std::mt19937 random(7);
  constexpr std::string_view kAlphabet = "ab1Q_-.:/\\\n\0\x80";
  int n_valid = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = random() % 2 == 0 ? "hf:a/b" : "hf:";
    const size_t length = random() % 12;
    for (size_t k = 0; k < length; ++k) text += kAlphabet[random() % kAlphabet.size()];
    if (random() % 2 == 0) text += ".gguf";
    const auto name = parse_hf_name(text);
    if (!name) continue;
    ++n_valid;
    ASSERT_TRUE(name->file.empty() || is_safe_path(name->file)) << text;
    ASSERT_EQ(name->user.find('/'), std::string::npos);
    ASSERT_EQ(name->repo.find('/'), std::string::npos);
    const auto again = parse_hf_name(name->text());
    ASSERT_TRUE(again) << text << " is shown as " << name->text();
    ASSERT_EQ(again->text(), name->text());
  }
  EXPECT_GT(n_valid, 1000);
}

std::vector<HfFile> files(std::initializer_list<const char*> paths) {
  std::vector<HfFile> result;
  for (const char* path : paths) result.push_back({path, 10, ""});
  return result;
}

std::string chosen(const std::vector<HfFile>& in, const char* name) {
  const auto choice = choose(hf_choices(in), parse_hf_name(name).value());
  return choice ? choice->files.front().path : "none: " + choice.error().message;
}

const std::vector<HfFile>& usual() {
  static const std::vector<HfFile> all =
      files({"README.md", "imatrix.gguf", "m-IQ4_XS.gguf", "m-Q2_K.gguf", "m-Q4_K_M.gguf",
             "m-Q4_K_S.gguf", "m-Q8_0.gguf", "mmproj-m-Q4_K_M.gguf", "mtp-m-Q4_K_M.gguf"});
  return all;
}

TEST(HfChoice, TagThenTheUsualOnesThenTheFirst) {
  EXPECT_EQ(chosen(usual(), "hf:u/r"), "m-Q4_K_M.gguf");
  EXPECT_EQ(chosen(usual(), "hf:u/r:q8_0"), "m-Q8_0.gguf");
  EXPECT_EQ(chosen(usual(), "hf:u/r:Q4_K_S"), "m-Q4_K_S.gguf");
  EXPECT_EQ(chosen(usual(), "hf:u/r/m-Q2_K.gguf"), "m-Q2_K.gguf");
  EXPECT_EQ(chosen(files({"x-Q2_K.gguf", "x-Q8_0.gguf"}), "hf:u/r"), "x-Q8_0.gguf");
  EXPECT_EQ(chosen(files({"x-Q2_K.gguf", "x-Q6_K.gguf"}), "hf:u/r"), "x-Q2_K.gguf");
  EXPECT_EQ(chosen(files({"model.gguf"}), "hf:u/r"), "model.gguf");
}

TEST(HfChoice, TagIsAWholeWordWhereOneIs) {
  const auto both = files({"m-IQ4_0.gguf", "m-Q4_0.gguf"});
  EXPECT_EQ(chosen(both, "hf:u/r:Q4_0"), "m-Q4_0.gguf");
  EXPECT_EQ(chosen(files({"m-XQ4_0.gguf"}), "hf:u/r:Q4_0"), "m-XQ4_0.gguf");
  EXPECT_THAT(chosen(both, "hf:u/r:Q4"), HasSubstr("none"));  // not followed by '.' or '-'
}

TEST(HfChoice, SplitModelsComeWhole) {
  const auto in = files({"a/m-Q8_0-00002-of-00002.gguf", "a/m-Q8_0-00001-of-00002.gguf",
                         "b/m-Q4_K_M-00001-of-00003.gguf", "b/m-Q4_K_M-00003-of-00003.gguf"});
  const auto choice = choose(hf_choices(in), *parse_hf_name("hf:u/r"));
  ASSERT_TRUE(choice);
  ASSERT_EQ(choice->files.size(), 2U);
  EXPECT_EQ(choice->files[0].path, "a/m-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(choice->files[1].path, "a/m-Q8_0-00002-of-00002.gguf");
  EXPECT_EQ(choice->bytes(), 20U);
  EXPECT_EQ(chosen(in, "hf:u/r/a/m-Q8_0-00002-of-00002.gguf"), "a/m-Q8_0-00001-of-00002.gguf");
  EXPECT_THAT(chosen(in, "hf:u/r:Q4_K_M"), HasSubstr("has no model"));  // a part is missing
}

TEST(HfChoice, ErrorListsWhatThereIs) {
  const std::string error = chosen(usual(), "hf:u/r:Q3_K");
  EXPECT_THAT(error, HasSubstr("hf:u/r:Q2_K"));
  EXPECT_THAT(error, HasSubstr("hf:u/r:Q8_0"));
  EXPECT_THAT(error, Not(HasSubstr("mmproj")));
  EXPECT_THAT(chosen(files({"README.md"}), "hf:u/r"), HasSubstr("no complete GGUF model"));
}

TEST(HfChoice, NamesMeanWhatTheyWereMadeFrom) {
  const auto in = files({"UD.Q4_K_XL.gguf", "m-UD-Q4_K_XL.gguf", "m-Q4_K_XL.gguf", "plain.gguf",
                         "m.f16.gguf", "sub/m-Q4_K_XL.gguf", "m-BF16-00001-of-00001.gguf"});
  const auto choices = hf_choices(in);
  ASSERT_EQ(choices.size(), in.size());
  for (const HfChoice& choice : choices) {
    const HfName name = name_of_choice(choices, {"u", "r", "", ""}, choice);
    const auto parsed = parse_hf_name(name.text());
    ASSERT_TRUE(parsed) << name.text();
    EXPECT_EQ(choose(choices, *parsed)->files.front().path, choice.files.front().path)
        << name.text();
  }
}

}  // namespace
}  // namespace llmrun::store
