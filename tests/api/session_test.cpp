// Session: answers, streaming, cache, cancelling, overflow, logits.
#include <gmock/gmock.h>

#include "api_fixture.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr const char* kSmol = "SmolLM2-135M-Instruct.Q4_1.gguf";

GenerateOptions seeded(int64_t max_tokens) {
  GenerateOptions options;
  options.sampling.seed = 11;
  options.max_tokens = max_tokens;
  return options;
}

const std::vector<Message> kHello = {user("Hello there")};

class SessionTest : public testing::Test {
 protected:
  Model model_ = must(Model::open(tiny_chat_path(), {.threads = 2}));
};

TEST_F(SessionTest, ChatsAndStreams) {
  Session session = must(model_.new_session());
  EXPECT_EQ(session.context_tokens(), 1024);
  std::string heard;
  const Generation answer = must(session.chat(kHello, seeded(30), [&](const StreamEvent& event) {
    heard += event.text;
    return true;
  }));
  EXPECT_EQ(heard, answer.thinking + answer.text);
  EXPECT_FALSE(heard.empty());
  EXPECT_EQ(answer.seed, 11U);
  EXPECT_EQ(answer.usage.prompt,
            static_cast<int64_t>(must(model_.render_chat(kHello)).tokens.size()));
  EXPECT_EQ(answer.usage.thinking + answer.usage.answer,
            static_cast<int64_t>(answer.tokens.size()));
  EXPECT_GT(answer.timings.first_token_seconds, 0);
}

TEST_F(SessionTest, TheSameSeedGivesTheSameAnswer) {
  Session session = must(model_.new_session());
  const Generation first = must(session.chat(kHello, seeded(30)));
  const Generation again = must(session.chat(kHello, seeded(30)));
  EXPECT_EQ(again.tokens, first.tokens);
  EXPECT_EQ(again.usage.cached, again.usage.prompt - 1);
  session.clear();
  EXPECT_EQ(session.cached_tokens(), 0);
  EXPECT_EQ(must(session.chat(kHello, seeded(30))).tokens, first.tokens);
  GenerateOptions other = seeded(30);
  other.sampling.seed = 12;
  EXPECT_NE(must(session.chat(kHello, other)).tokens, first.tokens);
  other.sampling.seed.reset();
  EXPECT_NE(must(session.chat(kHello, other)).seed, must(session.chat(kHello, other)).seed);
}

TEST_F(SessionTest, TheNextTurnReadsOnlyWhatIsNew) {
  Session session = must(model_.new_session());
  std::vector<Message> messages = kHello;
  const Generation first = must(session.chat(messages, seeded(20)));
  messages.push_back(user(first.text));
  messages.back().role = "assistant";
  messages.push_back(user("And then?"));
  const Generation second = must(session.chat(messages, seeded(20)));
  EXPECT_GE(second.usage.cached, first.usage.prompt - 1);
  EXPECT_EQ(second.timings.prompt_tokens, second.usage.prompt - second.usage.cached);
}

TEST_F(SessionTest, CancelFromTheCallbackOrAnotherPlace) {
  Session session = must(model_.new_session());
  GenerateOptions options = seeded(200);
  options.ignore_end = true;
  int n_events = 0;
  Generation answer =
      must(session.chat(kHello, options, [&](const StreamEvent&) { return ++n_events < 3; }));
  EXPECT_EQ(answer.stop_reason, StopReason::kCancelled);
  EXPECT_EQ(n_events, 3);
  n_events = 0;
  answer = must(session.chat(kHello, options, [&](const StreamEvent&) {
    if (++n_events == 5) session.cancel();
    return true;
  }));
  EXPECT_EQ(answer.stop_reason, StopReason::kCancelled);
  EXPECT_LT(n_events, 10);
  // A cancel of the past does not stop the next answer.
  session.cancel();
  EXPECT_EQ(must(session.chat(kHello, seeded(2))).tokens.size(), 2U);
}

TEST_F(SessionTest, StopStringsEndTheAnswer) {
  Session session = must(model_.new_session());
  GenerateOptions options = seeded(60);
  options.ignore_end = true;
  const std::string text = must(session.chat(kHello, options)).text;
  ASSERT_GT(text.size(), 20U);
  options.stop = {text.substr(10, 4)};
  const Generation stopped = must(session.chat(kHello, options));
  EXPECT_EQ(stopped.stop_reason, StopReason::kStopString);
  EXPECT_EQ(stopped.stop_string, options.stop[0]);
  EXPECT_EQ(stopped.text, text.substr(0, text.find(options.stop[0])));
}

TEST_F(SessionTest, OverflowNamesTheNumbers) {
  Session session = must(model_.new_session({.context_tokens = 16}));
  const auto answer = session.chat(std::vector<Message>{user(std::string(100, 'x'))}, {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kContextOverflow);
  EXPECT_THAT(answer.error().message, HasSubstr("16"));
  GenerateOptions options = seeded(-1);
  options.ignore_end = true;
  const Generation full = must(session.complete(std::vector<TokenId>{1, 10, 11}, options));
  EXPECT_EQ(full.stop_reason, StopReason::kContextFull);
  EXPECT_EQ(full.tokens.size(), 14U);
}

TEST_F(SessionTest, EveryTypeOfCacheWorks) {
  for (const char* type : {"f32", "f16", "bf16", "fp8", "int8"}) {
    ContextOptions options{.context_tokens = 128};
    options.k_type = options.v_type = type;
    Session session = must(model_.new_session(options));
    EXPECT_EQ(must(session.chat(kHello, seeded(5))).tokens.size(), 5U) << type;
  }
  const auto wrong = model_.new_session({.k_type = "q9"});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("q9"));
}

TEST_F(SessionTest, LogitsAgreeWithGreedyTokens) {
  Session session = must(model_.new_session({.context_tokens = 64}));
  std::vector<TokenId> tokens = {1, 20, 30, 40, 50};
  GenerateOptions greedy = seeded(8);
  greedy.sampling.temperature = 0;
  greedy.ignore_end = true;
  const Generation answer = must(session.complete(tokens, greedy));
  const size_t n_prompt = tokens.size();
  tokens.insert(tokens.end(), answer.tokens.begin(), answer.tokens.end());
  int64_t n_rows_seen = 0;
  const auto done = session.logits(
      tokens, [&](int64_t first, int64_t n_rows, std::span<const float> rows) -> Result<void> {
        EXPECT_EQ(first, n_rows_seen);
        for (int64_t i = 0; i < n_rows; ++i) {
          const auto row = rows.subspan(static_cast<size_t>(i) * 128, 128);
          const auto best = std::max_element(row.begin(), row.end()) - row.begin();
          const auto next = static_cast<size_t>(first + i) + 1;
          if (next < n_prompt || next >= tokens.size()) continue;
          EXPECT_EQ(best, tokens[next]);
        }
        n_rows_seen += n_rows;
        return {};
      });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(n_rows_seen, static_cast<int64_t>(tokens.size()));
}

TEST_F(SessionTest, SessionsOfOneModelDoNotDisturbEachOther) {
  Session a = must(model_.new_session({.context_tokens = 256}));
  const Generation wanted = must(a.chat(kHello, seeded(20)));
  Session b = must(model_.new_session({.context_tokens = 128, .batch_tokens = 4}));
  EXPECT_EQ(must(b.chat(kHello, seeded(20))).tokens, wanted.tokens);
  EXPECT_EQ(must(a.chat(kHello, seeded(20))).tokens, wanted.tokens);
  // A session outlives the handle of its model.
  Session c = must(must(Model::open(tiny_chat_path())).new_session({.context_tokens = 128}));
  EXPECT_EQ(must(c.chat(kHello, seeded(20))).tokens, wanted.tokens);
}

TEST(RealSession, AnswersAQuestion) {
  LLMRUN_REAL_MODEL(path, kSmol);
  const Model model = must(Model::open(path));
  Session session = must(model.new_session({.context_tokens = 512}));
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = 12;
  const std::vector<Message> messages = {
      user("What is the capital of France, and what river runs through it?")};
  const Generation answer = must(session.chat(messages, options));
  EXPECT_THAT(answer.text, HasSubstr("Paris"));
}

// The system would hand out the address space and kill the process when it is used.
TEST_F(SessionTest, RefusesAContextLargerThanWhatIsFree) {
  const auto per_sequence = must(estimate_memory(tiny_chat_path(), {.context_tokens = 1 << 20}));
  ContextOptions options{.context_tokens = 1 << 20};
  options.max_sequences =
      static_cast<int64_t>(per_sequence.available_bytes / per_sequence.allocated_bytes * 2 + 2);
  // Without a word about the pool, it is what fits, and the conversations wait for each other.
  const Session shared = must(model_.new_session(options));
  EXPECT_LT(shared.memory().pool_tokens, options.max_sequences << 20);
  EXPECT_LE(shared.memory().allocated_bytes, per_sequence.available_bytes);
  options.pool_tokens = options.max_sequences << 20;
  const auto session = model_.new_session(options);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(session.error().message, HasSubstr("are free"));
}

TEST_F(SessionTest, AllocatesLessThanItPlansByTheMappedWeights) {
  const auto plan = must(model_.new_session()).memory();
  uint64_t mapped = 0;
  for (const MemoryItem& item : plan.items) mapped += item.mapped ? item.bytes : 0;
  EXPECT_GT(mapped, 0U);
  EXPECT_EQ(plan.allocated_bytes + mapped, plan.total_bytes);
}

// A diffusion model sees its whole text at once: it can judge one, not write one.
TEST(NotCausal, GivesLogitsOfAWholeTextAndRefusesToWrite) {
  const Model model = must(Model::open(tiny_path("altered-llada-moe-experts"), {.threads = 2}));
  Session session = must(model.new_session());
  const std::vector<TokenId> tokens(40, 7);
  int64_t n_rows = 0;
  must(session.logits(tokens, [&](int64_t first, int64_t n, std::span<const float>) {
    EXPECT_EQ(first, 0);
    n_rows += n;
    return Result<void>();
  }));
  EXPECT_EQ(n_rows, 40);
  const auto answer = session.complete(tokens, seeded(3));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(answer.error().message, HasSubstr("llada-moe"));
}

}  // namespace
}  // namespace llmrun
