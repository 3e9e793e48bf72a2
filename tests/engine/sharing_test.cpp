// Pages and states shared between requests, over a context that checks every token it finds in
// them: shared beginnings, a full pool, cancelling, and random mixes of all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/engine.h"
#include "engine/fake_context.h"

namespace llmrun::engine {
namespace {

const std::atomic<bool> kNever{false};

Request request(std::vector<TokenId> prompt, int64_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.options.sampling.temperature = 0;
  request.options.sampling.repeat_penalty = 1.2F;  // looks at the tokens before, too
  request.options.max_tokens = max_tokens;
  return request;
}

std::vector<TokenId> text(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<TokenId> tokens(n);
  for (TokenId& id : tokens) id = static_cast<TokenId>(random() % kMixedVocab);
  return tokens;
}

std::vector<TokenId> operator+(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<TokenId> answer_alone(const std::vector<TokenId>& prompt, int64_t max_tokens,
                                  int64_t context_tokens) {
  FakeContext context({.context_tokens = context_tokens}, kMixedVocab, mixed);
  Engine engine(context, {nullptr, kMixedVocab});
  return engine.run(request(prompt, max_tokens), kNever)->tokens;
}

struct Kind {
  const char* name;
  FakeShape shape;
};
class Sharing : public testing::TestWithParam<Kind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, Sharing,
                         testing::Values(Kind{"Plain", {}}, Kind{"Window", {.window = 70}},
                                         Kind{"NarrowWindow", {.window = 3}},
                                         Kind{"Recurrent", {.is_recurrent = true}},
                                         Kind{"Both", {.window = 70, .is_recurrent = true}}),
                         [](const auto& test) { return test.param.name; });

// Requests that begin alike, one after the other and then together: what they share is read once.
TEST_P(Sharing, ACommonBeginningIsReadOnce) {
  const auto shared = text(300, 1);
  for (const bool together : {false, true}) {
    FakeContext context(
        {.context_tokens = 512, .max_sequences = 4, .batch_tokens = 128, .kept_ends = 4},
        kMixedVocab, mixed, GetParam().shape);
    Engine engine(context, {nullptr, kMixedVocab});
    std::vector<Sequence*> sequences;
    std::vector<Generation> answers;
    for (uint32_t i = 0; i < 4; ++i) {
      sequences.push_back(engine.submit(request(shared + text(20, 10 + i), 30)).value());
      while (!together && engine.step().value()) {
      }
    }
    while (engine.step().value()) {
    }
    for (uint32_t i = 0; i < 4; ++i) {
      const Generation answer = engine.take(sequences[i]).value();
      EXPECT_EQ(answer.tokens, answer_alone(shared + text(20, 10 + i), 30, 512));
      // A recurrent model learns with the second one where the texts part.
      const bool knows = i >= (GetParam().shape.is_recurrent ? 2 : 1);
      const int64_t least = knows ? 256 : 0;
      EXPECT_GE(answer.usage.cached, least) << i << " together " << together;
      EXPECT_LE(answer.usage.cached, i == 0 ? 0 : 300);
    }
  }
}

// A chat: each turn begins with the turn before, to its last token.
TEST_P(Sharing, ATurnGoesOnAfterTheTurnBefore) {
  FakeContext context({.context_tokens = 1024, .batch_tokens = 128, .kept_ends = 2}, kMixedVocab,
                      mixed, GetParam().shape);
  Engine engine(context, {nullptr, kMixedVocab});
  auto conversation = text(100, 3);
  int64_t length = 0;
  for (int turn = 0; turn < 6; ++turn) {
    const auto answer = engine.run(request(conversation, 50), kNever);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->usage.cached, length);
    EXPECT_EQ(answer->tokens, answer_alone(conversation, 50, 1024));
    conversation = conversation + answer->tokens;
    length = static_cast<int64_t>(conversation.size()) - 1;  // the last token was not run
    conversation = conversation + text(40, static_cast<uint32_t>(turn));
  }
  // The last answer once more: from the last page border of its prompt, or further on.
  conversation.resize(static_cast<size_t>(length) + 1 - 50);
  const auto again = engine.run(request(conversation, 50), kNever);
  EXPECT_GE(again->usage.cached, (length + 1 - 50 - 1) / 64 * 64);
  EXPECT_EQ(again->tokens, answer_alone(conversation, 50, 1024));
}

// A pool for little more than one sequence: they take turns, and no answer changes.
TEST_P(Sharing, AFullPoolMakesSequencesWaitAndNothingElse) {
  FakeContext context({.context_tokens = 512,
                       .max_sequences = 5,
                       .batch_tokens = 96,
                       .pool_tokens = 640,
                       .kept_ends = 3},
                      kMixedVocab, mixed, GetParam().shape);
  Engine engine(context, {nullptr, kMixedVocab});
  std::vector<Sequence*> sequences;
  for (uint32_t i = 0; i < 5; ++i) {
    sequences.push_back(engine.submit(request(text(60 + 10 * i, i), 300)).value());
  }
  while (true) {
    const auto more = engine.step();
    ASSERT_TRUE(more) << more.error().message;
    if (!*more) break;
  }
  EXPECT_GT(engine.n_preempted(), 0);
  for (uint32_t i = 0; i < 5; ++i) {
    const auto answer = engine.take(sequences[i]);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->tokens, answer_alone(text(60 + 10 * i, i), 300, 512)) << i;
    EXPECT_EQ(answer->usage.prompt, 60 + 10 * static_cast<int64_t>(i));
  }
}

TEST_P(Sharing, ACancelledRequestGivesItsPagesBackAtTheNextStep) {
  FakeContext context(
      {.context_tokens = 256, .max_sequences = 2, .batch_tokens = 256, .kept_ends = 2}, kMixedVocab,
      mixed, GetParam().shape);
  Engine engine(context, {nullptr, kMixedVocab});
  Sequence* const stays = engine.submit(request(text(10, 1), 5)).value();
  Sequence* const goes = engine.submit(request(text(200, 2), 50)).value();
  ASSERT_TRUE(engine.step().value());
  goes->cancel();
  ASSERT_TRUE(engine.step().value());
  engine.clear();
  EXPECT_EQ(context.cache().free_pages()[runtime::kWholeGroup],
            context.cache().n_pages()[runtime::kWholeGroup] - 1);  // that of the other one
  EXPECT_EQ(engine.take(goes)->stop_reason, StopReason::kCancelled);
  while (engine.step().value()) {
  }
  EXPECT_EQ(engine.take(stays)->tokens.size(), 5U);
}

// Hundreds of requests in random mixes: related and unrelated texts, limits, cancels, pools.
TEST_P(Sharing, RandomMixesGiveTheAnswersOfEachAlone) {
  std::mt19937 random(11);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  int64_t n_preempted = 0;
  for (int round = 0; round < 40; ++round) {
    runtime::ContextOptions options{.context_tokens = 256};
    options.max_sequences = 1 + below(6);
    options.batch_tokens = 1 + below(200);
    options.logits_rows = 1 + below(6);
    options.pool_tokens = 256 + below(600);
    options.pool_tokens = std::min(options.pool_tokens, options.max_sequences * 256);
    options.kept_ends = below(4);
    FakeContext context(options, kMixedVocab, mixed, GetParam().shape);
    Engine engine(context, {nullptr, kMixedVocab});
    struct Asked {
      std::vector<TokenId> prompt;
      int64_t max_tokens;
      Sequence* sequence;
      bool cancelled = false;
    };
    std::vector<Asked> asked;
    std::vector<std::vector<TokenId>> texts = {text(200, 1), text(90, 2)};
    for (int step = 0; step < 5000; ++step) {
      if (asked.size() < 12 && below(3) == 0) {
        auto prompt = texts[below(static_cast<uint32_t>(texts.size()))];
        prompt.resize(1 + below(static_cast<uint32_t>(prompt.size())));
        prompt = prompt + text(below(30), below(1000));
        prompt.resize(std::min<size_t>(prompt.size(), below(4) == 0 ? 230 : 60));
        const int64_t limit = 1 + below(250);
        asked.push_back({prompt, limit, engine.submit(request(prompt, limit)).value()});
      }
      if (!asked.empty() && below(40) == 0) {
        Asked& one = asked[below(static_cast<uint32_t>(asked.size()))];
        if (!one.sequence->done()) {
          one.sequence->cancel();
          one.cancelled = true;
        }
      }
      const auto more = engine.step();
      ASSERT_TRUE(more) << more.error().message << " in round " << round;
      if (!*more && asked.size() >= 12) break;
    }
    n_preempted += engine.n_preempted();
    for (const Asked& one : asked) {
      const auto answer = engine.take(one.sequence);
      ASSERT_TRUE(answer) << answer.error().message;
      auto expected = answer_alone(one.prompt, one.max_tokens, 256);
      if (one.cancelled) expected.resize(answer->tokens.size());
      ASSERT_EQ(answer->tokens, expected) << "round " << round;
    }
    engine.clear();
    EXPECT_EQ(engine.cached_tokens(), 0);
    EXPECT_EQ(context.cache().free_pages(), context.cache().n_pages()) << "pages were lost";
  }
  EXPECT_GT(n_preempted, 0);
}

TEST(Ledger, TellsWhereAPromptDeparts) {
  FakeContext context({.context_tokens = 512, .batch_tokens = 512}, kMixedVocab, mixed);
  Engine engine(context, {nullptr, kMixedVocab});
  auto prompt = text(200, 1);
  EXPECT_FALSE(engine.run(request(prompt, 2), kNever)->departure);
  EXPECT_FALSE(engine.run(request(prompt + text(5, 9), 2), kNever)->departure.has_value() &&
               engine.run(request(prompt, 2), kNever)->departure.has_value());
  const TokenId before = prompt[130];
  prompt[130] = before == 7 ? 8 : 7;
  const auto answer = engine.run(request(prompt, 2), kNever);
  ASSERT_TRUE(answer->departure);
  EXPECT_EQ(answer->departure->position, 130);
  EXPECT_EQ(answer->departure->cached, before);
  EXPECT_EQ(answer->departure->given, prompt[130]);
  EXPECT_EQ(answer->usage.cached, 130);
  EXPECT_EQ(answer->usage.reserved, 2);
}

TEST(Overflowing, DropsWhatTheRequestSays) {
  FakeContext context({.context_tokens = 100, .batch_tokens = 512}, kMixedVocab, mixed);
  Engine engine(context, {nullptr, kMixedVocab});
  auto long_one = request(text(150, 1), 10);
  long_one.options.on_overflow = Overflow::kTruncateFront;
  long_one.options.keep_tokens = 20;
  const auto answer = engine.run(std::move(long_one), kNever);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->usage.prompt, 90);
  EXPECT_EQ(answer->usage.dropped, 60);
  EXPECT_EQ(answer->usage.reserved, 10);
  auto kept = text(150, 1);
  kept.erase(kept.begin() + 20, kept.begin() + 80);
  EXPECT_EQ(answer->tokens, answer_alone(kept, 10, 100));

  auto too_much = request(text(150, 1), 10);
  too_much.options.on_overflow = Overflow::kShift;
  too_much.options.keep_tokens = 95;
  EXPECT_EQ(engine.run(std::move(too_much), kNever).error().code, ErrorCode::kContextOverflow);
}

TEST(Overflowing, AShiftGoesOnFromTheYoungerHalf) {
  FakeContext context({.context_tokens = 100, .batch_tokens = 512}, kMixedVocab, mixed);
  Engine engine(context, {nullptr, kMixedVocab});
  auto one = request(text(90, 1), 40);
  one.options.sampling.repeat_penalty = 1.0F;
  one.options.on_overflow = Overflow::kShift;
  one.options.keep_tokens = 7;
  const auto answer = engine.run(std::move(one), kNever);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->tokens.size(), 40U);
  EXPECT_EQ(answer->stop_reason, StopReason::kTokenLimit);
  EXPECT_EQ(answer->usage.dropped, (101 - 7) / 2);
  // By hand: what the model sees is the first 7 tokens and the younger half of the others.
  auto seen = text(90, 1);
  for (size_t i = 0; i < 40; ++i) {
    ASSERT_EQ(answer->tokens[i], mixed(seen)) << i;
    seen.push_back(answer->tokens[i]);
    if (seen.size() > 100) seen.erase(seen.begin() + 7, seen.begin() + 7 + (101 - 7) / 2);
  }
}

}  // namespace
}  // namespace llmrun::engine
