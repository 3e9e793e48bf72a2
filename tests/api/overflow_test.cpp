// Texts longer than the context: refused, cut or shifted as asked, and always counted.
#include <gmock/gmock.h>

#include "api_fixture.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

Message message(std::string role, std::string text) {
  Message message;
  message.role = std::move(role);
  message.content = std::move(text);
  return message;
}

class Overflowing : public testing::Test {
 protected:
  // A chat with a system message, many turns, and a last question.
  static std::vector<Message> chat(int n_turns) {
    std::vector<Message> messages = {message("system", "Be brief.")};
    for (int i = 0; i < n_turns; ++i) {
      messages.push_back(user("Tell me more about the number " + std::to_string(i)));
      messages.push_back(message("assistant", "It comes after " + std::to_string(i - 1)));
    }
    messages.push_back(user("What did I ask for?"));
    return messages;
  }
  static GenerateOptions options(Overflow overflow) {
    GenerateOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = 10;
    options.ignore_end = true;
    options.on_overflow = overflow;
    return options;
  }

  Model model_ = must(Model::open(tiny_chat_path(), {.threads = 2}));
  Session session_ = must(model_.new_session({.context_tokens = 256}));
};

TEST_F(Overflowing, IsAnErrorWithBothNumbersUnlessAsked) {
  const auto n_tokens = must(model_.render_chat(chat(40))).tokens.size();
  const auto answer = session_.chat(chat(40), options(Overflow::kError));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kContextOverflow);
  EXPECT_THAT(answer.error().message, HasSubstr(std::to_string(n_tokens)));
  EXPECT_THAT(answer.error().message, HasSubstr("256"));
}

TEST_F(Overflowing, LeavesOutTheOldestMessagesWhole) {
  const Generation answer = must(session_.chat(chat(40), options(Overflow::kTruncateFront)));
  const auto n_all = static_cast<int64_t>(must(model_.render_chat(chat(40))).tokens.size());
  EXPECT_EQ(answer.usage.prompt + answer.usage.dropped, n_all);
  EXPECT_LE(answer.usage.prompt + 10, 256);
  EXPECT_EQ(answer.usage.reserved, 10);
  // The same as if only the system message and the last turns had been given: find how many.
  bool found = false;
  for (int left = 0; left < 40 && !found; ++left) {
    auto messages = chat(40);
    messages.erase(messages.begin() + 1, messages.begin() + 1 + 2 * (40 - left));
    const auto rendered = must(model_.render_chat(messages));
    if (static_cast<int64_t>(rendered.tokens.size()) != answer.usage.prompt) continue;
    found = true;
    EXPECT_EQ(must(session_.chat(messages, options(Overflow::kError))).tokens, answer.tokens);
  }
  EXPECT_TRUE(found);
}

TEST_F(Overflowing, AShortChatIsLeftAsItIs) {
  const Generation answer = must(session_.chat(chat(1), options(Overflow::kShift)));
  EXPECT_EQ(answer.usage.dropped, 0);
  EXPECT_EQ(answer.tokens, must(session_.chat(chat(1), options(Overflow::kError))).tokens);
}

TEST_F(Overflowing, CutsALastMessageThatAloneIsTooLong) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += " word" + std::to_string(i);
  const std::vector<Message> messages = {message("system", "Be brief."), user(text)};
  const auto n_all = static_cast<int64_t>(must(model_.render_chat(messages)).tokens.size());
  const Generation answer = must(session_.chat(messages, options(Overflow::kTruncateFront)));
  EXPECT_EQ(answer.usage.prompt, 246);
  EXPECT_EQ(answer.usage.dropped, n_all - 246);
}

TEST_F(Overflowing, AShiftingAnswerGoesOn) {
  GenerateOptions shifting = options(Overflow::kShift);
  shifting.max_tokens = 600;
  const Generation answer = must(session_.chat(chat(2), shifting));
  EXPECT_EQ(answer.tokens.size(), 600U);
  EXPECT_EQ(answer.stop_reason, StopReason::kTokenLimit);
  EXPECT_GT(answer.usage.dropped, 256);
  // Once more, whatever the cache holds now.
  EXPECT_EQ(must(session_.chat(chat(2), shifting)).tokens, answer.tokens);
}

TEST_F(Overflowing, NeverDropsTheNeedleInSilence) {
  int n_dropped = 0;
  for (int n_turns = 1; n_turns < 60; n_turns += 3) {
    auto messages = chat(n_turns);
    messages[1].content = "The needle is 4711.";
    const auto n_all = static_cast<int64_t>(must(model_.render_chat(messages)).tokens.size());
    const Generation answer = must(session_.chat(messages, options(Overflow::kTruncateFront)));
    EXPECT_EQ(answer.usage.dropped, n_all - answer.usage.prompt);
    n_dropped += answer.usage.dropped > 0 ? 1 : 0;
  }
  EXPECT_GT(n_dropped, 5);
}

TEST(ContextSize, IsToldWithItsReason) {
  const Model model = must(Model::open(tiny_chat_path(), {.threads = 1}));
  EXPECT_EQ(must(model.new_session()).memory().context_source, "the model's own");
  const Session asked = must(model.new_session({.context_tokens = 100}));
  EXPECT_EQ(asked.memory().context_source, "asked for");
  EXPECT_EQ(asked.context_tokens(), 100);
  const Session many = must(model.new_session({.context_tokens = 100, .max_sequences = 4}));
  EXPECT_EQ(many.memory().pool_tokens, 4 * 128);  // whole pages
  const Session small =
      must(model.new_session({.context_tokens = 100, .max_sequences = 4, .pool_tokens = 200}));
  EXPECT_EQ(small.memory().pool_tokens, 256);
  EXPECT_LT(small.memory().total_bytes, many.memory().total_bytes);
}

TEST(ContextSize, WindowsTakeMemoryForWhatTheySeeOnly) {
  LLMRUN_REAL_MODEL(path, "gemma-3-270m-q4_k_m.gguf");
  const auto kv_bytes = [&](int64_t context_tokens) {
    const MemoryEstimate plan = must(estimate_memory(path, {.context_tokens = context_tokens}));
    for (const MemoryItem& item : plan.items) {
      if (item.component == "KV cache") return item.bytes;
    }
    return uint64_t{0};
  };
  // 15 of 18 layers see 512 tokens: four times the context takes far less than four times the KV.
  EXPECT_LT(kv_bytes(32768), 2 * kv_bytes(8192) + kv_bytes(8192));
  EXPECT_LT(kv_bytes(32768), uint64_t{18} * 32768 * 1024 / 3);
}

}  // namespace
}  // namespace llmrun
