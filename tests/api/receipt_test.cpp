// Receipts: an answer is made again bit for bit, and every departure is told.
#include "llmrun/receipt.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "api_fixture.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

class ReceiptTest : public testing::Test {
 protected:
  std::string write(GenerateOptions options, const ContextOptions& context = {}) {
    const Model model = must(Model::open(tiny_chat_path(), {.threads = 2}));
    Session session = must(model.new_session(context));
    options.hash_logits = true;
    answer_ = must(session.chat(std::vector<Message>{user("Hello there")}, options));
    return must(session.receipt("tiny"));
  }
  static GenerateOptions sampled() {
    GenerateOptions options;
    options.sampling.temperature = 1.3F;
    options.sampling.logit_bias = {{5, 0.25F}};
    options.sampling.repeat_penalty = 1.1F;
    options.max_tokens = 24;
    options.ignore_end = true;
    return options;
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  Generation answer_;
};

TEST_F(ReceiptTest, TheSameAnswerAgain) {
  const std::string receipt = write(sampled(), {.context_tokens = 200, .k_type = "int8"});
  EXPECT_EQ(must(receipt_model(receipt)), "tiny");
  for (const int threads : {1, 2}) {
    const Replay again = must(replay(tiny_chat_path(), receipt, {.threads = threads}));
    EXPECT_TRUE(again.same);
    EXPECT_EQ(again.n_tokens, 24);
    EXPECT_TRUE(again.changes.empty());
  }
}

TEST_F(ReceiptTest, TellsWhereTokensDepart) {
  const std::string receipt = write(sampled());
  // The fifth token, in the list of the answer.
  const size_t answer = receipt.find("\"answer\"");
  size_t at = receipt.find("\"tokens\"", answer);
  for (int i = 0; i < 5; ++i) at = receipt.find('\n', at) + 1;
  std::string changed = receipt;
  const size_t end = receipt.find(',', at);
  changed.replace(at, end - at, answer_.tokens[4] == 7 ? "8" : "7");
  const Replay again = must(replay(tiny_chat_path(), changed));
  EXPECT_FALSE(again.same);
  EXPECT_EQ(again.token_departs, 4);
  EXPECT_EQ(again.logits_depart, std::nullopt);
  EXPECT_NE(again.expected_text, again.got_text);
}

TEST_F(ReceiptTest, TellsWhatChanged) {
  const std::string receipt = write(sampled());
  const Replay other_seed = must(
      replay(tiny_chat_path(), replaced(receipt, "\"temperature\": 1.", "\"temperature\": 3.")));
  EXPECT_FALSE(other_seed.same);
  const Replay other_model =
      must(replay(tiny_chat_path(), replaced(receipt, "sampled-sha256:", "sampled-sha256:0")));
  EXPECT_TRUE(other_model.same);
  ASSERT_EQ(other_model.changes.size(), 1U);
  EXPECT_THAT(other_model.changes[0], HasSubstr("model"));
  // Another CPU target gives other last bits of the logits; the tokens may be the same.
  const Replay plain = must(replay(tiny_chat_path(), receipt, {.cpu_target = "plain"}));
  if (!plain.changes.empty()) {
    EXPECT_THAT(plain.changes[0], HasSubstr("target"));
  }
}

TEST_F(ReceiptTest, WhatIsNoReceiptIsAnError) {
  const std::string receipt = write(sampled());
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[1]"), std::string(1000, '['),
        replaced(receipt, "llmrun-receipt-1", "llmrun-receipt-9"),
        replaced(receipt, "\"seed\"", "\"sead\""), receipt.substr(0, receipt.size() / 2),
        replaced(receipt, "\"max_tokens\": 24", "\"max_tokens\": \"x\"")}) {
    const auto result = replay(tiny_chat_path(), bad);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUsage);
    EXPECT_THAT(result.error().message, HasSubstr("receipt"));
  }
}

TEST_F(ReceiptTest, NeedsTheHashes) {
  const Model model = must(Model::open(tiny_chat_path(), {.threads = 1}));
  Session session = must(model.new_session());
  EXPECT_FALSE(session.receipt("tiny"));
  must(session.chat(std::vector<Message>{user("Hello")}, sampled()));
  EXPECT_FALSE(session.receipt("tiny"));
}

}  // namespace
}  // namespace llmrun
