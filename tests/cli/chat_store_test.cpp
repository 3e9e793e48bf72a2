// Saved conversations: round trip, names, damage.
#include "cli/chat_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>

namespace llmrun::cli {
namespace {

class ChatStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/llmrun-chats-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  ChatStore store() const { return ChatStore(folder_ / "chats"); }
  std::filesystem::path file(const std::string& id) const {
    return folder_ / "chats" / (id + ".json");
  }
  static Chat sample() {
    Chat chat;
    chat.model = "smollm2:135m";
    chat.sampling = {{"temperature", "0.5"}, {"dry-breakers", "[\"\\n\"]"}};
    Message system, user, assistant;
    system.role = "system";
    system.content = "Be brief.\n\"Quotes\" and 日本語 \\";
    user.role = "user";
    user.content = "Hi";
    assistant.role = "assistant";
    assistant.content = "Hello";
    assistant.thinking = "They said hi.";
    assistant.tool_calls = {{"1", "f", "{\"a\":1}"}};
    chat.messages = {system, user, assistant};
    return chat;
  }
  static std::string content(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

TEST_F(ChatStoreTest, GivesBackWhatWasSaved) {
  Chat chat = sample();
  ASSERT_TRUE(store().save(chat));
  ASSERT_FALSE(chat.id.empty());
  const Result<Chat> loaded = store().load(chat.id);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(chat_to_json(*loaded), chat_to_json(chat));
  EXPECT_EQ(loaded->messages[0].content, chat.messages[0].content);
  EXPECT_EQ(loaded->messages[2].thinking, "They said hi.");
  EXPECT_EQ(loaded->messages[2].tool_calls[0].arguments_json, "{\"a\":1}");
  EXPECT_EQ(loaded->sampling, chat.sampling);
  struct stat status = {};
  ASSERT_EQ(stat(file(chat.id).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U) << "what was said is private";
}

TEST_F(ChatStoreTest, SavesTheSameChatIntoTheSameFile) {
  Chat chat = sample();
  ASSERT_TRUE(store().save(chat));
  const std::string id = chat.id;
  chat.messages.pop_back();
  ASSERT_TRUE(store().save(chat));
  EXPECT_EQ(chat.id, id);
  EXPECT_EQ(store().list().size(), 1U);
  EXPECT_EQ(store().load(id)->messages.size(), 2U);
}

TEST_F(ChatStoreTest, FindsByNameAndTheLatest) {
  Chat first = sample(), second = sample();
  first.name = "trip to Köln";
  ASSERT_TRUE(store().save(first));
  second.model = "other";
  ASSERT_TRUE(store().save(second));
  const auto later = std::filesystem::last_write_time(file(first.id)) + std::chrono::seconds(5);
  std::filesystem::last_write_time(file(second.id), later);
  EXPECT_EQ(store().load("trip to Köln")->id, first.id);
  EXPECT_TRUE(store().exists("trip to Köln"));
  EXPECT_FALSE(store().exists("trip"));
  EXPECT_EQ(store().latest()->id, second.id);
  EXPECT_EQ(store().latest("smollm2:135m")->id, first.id);
  EXPECT_EQ(store().latest("none").error().code, ErrorCode::kNotFound);
}

TEST_F(ChatStoreTest, NoNameLeadsOutOfTheFolder) {
  ASSERT_TRUE(std::filesystem::create_directories(folder_ / "chats"));
  std::ofstream(folder_ / "secret.json") << chat_to_json(sample());
  for (const char* name : {"../secret", "/etc/passwd", "", ".", "a/../../secret"}) {
    EXPECT_FALSE(store().load(name)) << name;
    EXPECT_FALSE(store().exists(name)) << name;
  }
}

TEST_F(ChatStoreTest, ReportsDamageAndLeavesTheFileAlone) {
  Chat chat = sample();
  ASSERT_TRUE(store().save(chat));
  const std::string good = content(file(chat.id));
  for (const std::string& bad :
       {good.substr(0, good.size() / 2), std::string(), std::string("[]"), std::string("{}"),
        std::string("null"), std::string("{\"format\":\"llmrun-chat\",\"version\":1}"),
        std::string("{\"format\":\"llmrun-chat\",\"version\":1,\"messages\":[{}]}"),
        std::string("{\"format\":\"llmrun-chat\",\"version\":1,\"messages\":[],\"sampling\":{"
                    "\"top-k\":5}}"),
        std::string("\xff\xfe")}) {
    std::ofstream(file(chat.id), std::ios::trunc) << bad;
    const Result<Chat> loaded = store().load(chat.id);
    ASSERT_FALSE(loaded) << bad;
    EXPECT_NE(loaded.error().message.find("damaged"), std::string::npos) << loaded.error().message;
    EXPECT_NE(loaded.error().context.find(chat.id), std::string::npos);
    EXPECT_FALSE(store().latest());
    EXPECT_EQ(content(file(chat.id)), bad);
  }
}

TEST_F(ChatStoreTest, EveryTruncationIsAnErrorOrTheWholeChat) {
  Chat chat = sample();
  chat.id = "x";
  const std::string good = chat_to_json(chat);
  for (size_t n = 0; n + 2 < good.size(); ++n) {
    EXPECT_FALSE(chat_from_json(good.substr(0, n))) << n;
  }
}

TEST_F(ChatStoreTest, ALaterVersionIsNotTouched) {
  const auto loaded = chat_from_json("{\"format\":\"llmrun-chat\",\"version\":2,\"messages\":[]}");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace llmrun::cli
