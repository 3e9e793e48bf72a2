// Names of models: what is one, what it stands for, and that none leads out of the store.
#include "store/model_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace llmrun::store {
namespace {

struct Case {
  const char* text;
  const char* path;   // host/namespace/model/tag
  const char* shown;  // as list shows it
};

TEST(ModelName, DefaultsAndParts) {
  for (const Case& c : {
           Case{"smollm2", "registry.ollama.ai/library/smollm2/latest", "smollm2:latest"},
           {"deepseek-r1:7b", "registry.ollama.ai/library/deepseek-r1/7b", "deepseek-r1:7b"},
           {"user/m", "registry.ollama.ai/user/m/latest", "user/m:latest"},
           {"hf.co/User/Repo-GGUF:Q4_K_M", "hf.co/User/Repo-GGUF/Q4_K_M",
            "hf.co/User/Repo-GGUF:Q4_K_M"},
           {"localhost:5000/ns/m", "localhost:5000/ns/m/latest", "localhost:5000/ns/m:latest"},
           {"localhost:5000/ns/m:t", "localhost:5000/ns/m/t", "localhost:5000/ns/m:t"},
           {"HTTP://127.0.0.1:18250/library/tiny:1b", "127.0.0.1:18250/library/tiny/1b",
            "127.0.0.1:18250/library/tiny:1b"},
           {"https://registry.ollama.ai/library/m:t", "registry.ollama.ai/library/m/t", "m:t"},
           {"llama3.2:1.5b-q4_K_M", "registry.ollama.ai/library/llama3.2/1.5b-q4_K_M",
            "llama3.2:1.5b-q4_K_M"},
           {"_a:_", "registry.ollama.ai/library/_a/_", "_a:_"},
       }) {
    const auto name = parse_model_name(c.text);
    ASSERT_TRUE(name) << c.text;
    EXPECT_EQ(name->path(), c.path) << c.text;
    EXPECT_EQ(name->text(), c.shown) << c.text;
    const auto again = name_of_path(name->path());
    ASSERT_TRUE(again) << c.text;
    EXPECT_TRUE(same_model(*again, *name)) << c.text;
  }
}

TEST(ModelName, TagIsLatestWhenLeftOut) {
  const auto name = parse_model_name("smollm2");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->tag, "latest");
  EXPECT_FALSE(name->has_tag);
  EXPECT_EQ(name->scheme, "https");
  EXPECT_EQ(parse_model_name("http://h/n/m")->scheme, "http");
}

// "hf:latest" and "hf:5000/n/m" read as names of the Hugging Face hub.
TEST(ModelName, WhatIsCalledHfIsShownAsWhatItIs) {
  for (const auto& [text, shown] : {std::pair("hf", "library/hf:latest"),
                                    {"https://hf:5000/n/m:t", "https://hf:5000/n/m:t"},
                                    {"me/hf:1", "me/hf:1"}}) {
    const auto name = parse_model_name(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->text(), shown);
    const auto again = parse_model_name(name->text());
    ASSERT_TRUE(again) << shown;
    EXPECT_TRUE(same_model(*again, *name));
  }
  EXPECT_FALSE(parse_model_name("hf:latest"));
  EXPECT_FALSE(parse_model_name("hf:5000/n/m"));
  EXPECT_FALSE(parse_model_name("Catalog/library/m"));  // shown as "m:latest", another model
}

TEST(ModelName, LettersAreKeptAndComparedWithoutCase) {
  const auto name = parse_model_name("SmolLM2:135M");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->text(), "SmolLM2:135M");
  EXPECT_TRUE(same_model(*name, *parse_model_name("smollm2:135m")));
  EXPECT_FALSE(same_model(*name, *parse_model_name("smollm2:135")));
  EXPECT_TRUE(same_model(*parse_model_name("HF.co/A/b:Q4"), *parse_model_name("hf.co/a/B:q4")));
}

TEST(ModelName, RefusesWhatCouldLeaveTheStore) {
  for (const char* text :
       {"",          ":",           "a:",        ":b",          "..",
        "../x",      "a:../b",      "-a",        ".a",          "a b",
        "a\nb",      "a:b:c d",     "\xc3\xa4",  "/",           "/a",
        "a/",        "a//b",        "h//n/m",    "/n/m",        "h/n.s/m",
        "a.b/m",     "h/../m",      "h/n/..",    "h/n/m:..",    "a/b/c/d",
        "x://h/n/m", "://h/n/m",    "https://m", "https://n/m", "file:///etc/passwd",
        "m@x",       "m@sha256:00", "h:1/n:2/m", "hf:u/r",      "HF:u/r/m.gguf",
        "h/n/m:a/b", "a\\b",        "~/m",       "C:\\m.gguf",  "h/n/m:t:u"}) {
    const auto name = parse_model_name(text);
    ASSERT_FALSE(name) << text << " is " << name->path();
    EXPECT_EQ(name.error().code, ErrorCode::kUsage);
  }
  EXPECT_FALSE(parse_model_name(std::string("a\0b", 3)));
  EXPECT_FALSE(parse_model_name(std::string(81, 'a')));
  EXPECT_TRUE(parse_model_name(std::string(80, 'a')));
  EXPECT_TRUE(parse_model_name(std::string(350, 'h') + "/n/m"));
  EXPECT_FALSE(parse_model_name(std::string(351, 'h') + "/n/m"));
}

TEST(ModelName, ErrorsAreShortAndPrintable) {
  const auto name = parse_model_name(std::string(5000, 'a') + "\x1b[2J");
  ASSERT_FALSE(name);
  EXPECT_LT(name.error().message.size(), 400U);
  EXPECT_THAT(parse_model_name("\x1b[2J").error().message,
              testing::Not(testing::HasSubstr("\x1b")));
}

TEST(ModelName, PathsOfOtherShapesAreNoNames) {
  for (const char* path : {"", "a", "a/b/c", "a/b/c/d/e", "../b/c/d", "a/b/c/.hidden", "a/./c/d",
                           "/a/b/c", "a/b.c/d/e"}) {
    EXPECT_FALSE(name_of_path(path)) << path;
  }
}

// Whatever is typed: a name that parses stays below the folder it is put in, reads back as itself
// and is stable when shown and parsed again.
TEST(ModelName, RandomTextsParseSafely) {
  std::mt19937 random(20261126);
  constexpr std::string_view kAlphabet = "aB3_-.:/@ ~\\\n\0\x80h";
  int n_valid = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    const size_t length = random() % 14;
    for (size_t k = 0; k < length; ++k) text += kAlphabet[random() % kAlphabet.size()];
    if (random() % 8 == 0) text = "https://" + text;
    const auto name = parse_model_name(text);
    if (!name) continue;
    ++n_valid;
    const auto path = std::filesystem::path("/root") / name->path();
    ASSERT_EQ(path.lexically_normal(), path) << text;
    ASSERT_EQ(path.string().rfind("/root/", 0), 0U) << text;
    const auto again = parse_model_name(name->text());
    ASSERT_TRUE(again) << text << " is shown as " << name->text();
    ASSERT_TRUE(same_model(*again, *name)) << text;
  }
  EXPECT_GT(n_valid, 1000);
}

}  // namespace
}  // namespace llmrun::store
