// The catalogue: the built-in one is complete, and a malformed one names its line.
#include "store/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmrun::store {
namespace {

using testing::HasSubstr;

constexpr const char* kDigest = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

std::string entry_text(const std::string& fields) { return "[m:1b]\n" + fields; }

TEST(Catalog, BuiltInOneParsesAndHasTheDefaultModel) {
  ASSERT_FALSE(catalog().empty());
  const auto name = parse_model_name("smollm2:135m");
  ASSERT_TRUE(name);
  const CatalogEntry* entry = find_in_catalog(*name);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->size, 98362432U);
  EXPECT_EQ(entry->sha256, kDigest);
}

TEST(Catalog, NameWithoutTagFindsTheOnlyOne) {
  EXPECT_NE(find_in_catalog(*parse_model_name("smollm2")), nullptr);
  EXPECT_EQ(find_in_catalog(*parse_model_name("smollm2:7b")), nullptr);
  EXPECT_EQ(find_in_catalog(*parse_model_name("smollm")), nullptr);
}

TEST(Catalog, ReadsSeveralSourcesAndParts) {
  const auto entries =
      parse_catalog(entry_text(std::string("title = A = B\nsize = 5\nsha256 = ") + kDigest +
                               "\n# first choice\nsource = pip\npart = a==1 x/y z.gguf\npart = "
                               "b==2 w\n\nsource = pip\npart = c==3 v"));
  ASSERT_TRUE(entries) << entries.error().message;
  const CatalogEntry& entry = entries->at(0);
  EXPECT_EQ(entry.title, "A = B");
  ASSERT_EQ(entry.sources.size(), 2U);
  ASSERT_EQ(entry.sources[0].parts.size(), 2U);
  EXPECT_EQ(entry.sources[0].parts[0].package, "a==1");
  EXPECT_EQ(entry.sources[0].parts[0].member, "x/y z.gguf");
}

TEST(Catalog, ErrorsNameTheLine) {
  for (const char* bad : {"size = five", "sha256 = 12", "source = carrier pigeon", "part = a==1 b",
                          "colour = red", "no equals sign"}) {
    const auto entries = parse_catalog(entry_text(bad));
    ASSERT_FALSE(entries) << bad;
    EXPECT_THAT(entries.error().message, HasSubstr("line 2")) << bad;
  }
  EXPECT_FALSE(parse_catalog("size = 3"));              // no entry yet
  EXPECT_FALSE(parse_catalog("[../../etc]\n"));         // not a name
  EXPECT_FALSE(parse_catalog(entry_text("size = 1")));  // incomplete
}

}  // namespace
}  // namespace llmrun::store
