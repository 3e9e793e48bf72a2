// The engine over a context that only pretends: scheduling, cache reuse, limits, cancelling, text.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/fake_context.h"

namespace llmrun::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// A vocabulary of words with a begin, an end and the thinking tags.
std::unique_ptr<tokenizer::Tokenizer> make_tokenizer() {
  using tokenizer::TokenType;
  tokenizer::VocabularyData data;
  data.model = "llama";
  data.tokens = {"<unk>",   "<s>",      "</s>", "\u2581one", "\u2581two", "\u2581thr", "ee",
                 "<think>", "</think>", "\n",   "!",         "<0xE2>",    "<0x82>",    "<0xAC>"};
  data.scores.assign(data.tokens.size(), 0.0F);
  data.types.assign(data.tokens.size(), TokenType::kNormal);
  data.types[0] = TokenType::kUnknown;
  data.types[1] = data.types[2] = TokenType::kControl;
  data.types[7] = data.types[8] = TokenType::kUserDefined;
  data.types[11] = data.types[12] = data.types[13] = TokenType::kByte;
  data.special.bos = 1;
  data.special.eos = 2;
  data.special.unk = 0;
  auto tokenizer = tokenizer::Tokenizer::create(data);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return std::move(*tokenizer);
}
constexpr TokenId kEnd = 2, kOne = 3, kTwo = 4, kThr = 5, kEe = 6, kThink = 7, kEndThink = 8,
                  kNewline = 9;
constexpr int64_t kVocab = 14;

// After the prompt come these tokens, one after the other.
FakeContext::Next script(size_t n_prompt, std::vector<TokenId> answer) {
  return [n_prompt, answer](const std::vector<TokenId>& tokens) {
    const size_t i = tokens.size() - n_prompt;
    return tokens.size() >= n_prompt && i < answer.size() ? answer[i] : kEnd;
  };
}

Request greedy(std::vector<TokenId> prompt, int64_t max_tokens = -1) {
  Request request;
  request.prompt = std::move(prompt);
  request.options.sampling.temperature = 0;
  request.options.max_tokens = max_tokens;
  return request;
}

struct Heard {
  std::string text, thinking;
  int64_t n_events = 0;
  StreamCallback callback(int64_t stop_after = -1) {
    return [this, stop_after](const StreamEvent& event) {
      (event.thinking ? thinking : text) += event.text;
      return ++n_events != stop_after;
    };
  }
};

const std::atomic<bool> kNever{false};

TEST(Engine, AnswersUntilTheEndOfTheTurn) {
  const auto tokenizer = make_tokenizer();
  FakeContext context({.context_tokens = 32, .batch_tokens = 8}, kVocab,
                      script(3, {kOne, kTwo, kThr, kEe, kEnd}));
  Engine engine(context, {tokenizer.get(), kVocab});
  Heard heard;
  Request request = greedy({1, kOne, kTwo});
  request.on_text = heard.callback();
  const auto answer = engine.run(std::move(request), kNever);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->text, heard.text);
  EXPECT_THAT(answer->text, HasSubstr("one two three"));
  EXPECT_EQ(answer->stop_reason, StopReason::kEndOfTurn);
  EXPECT_THAT(answer->tokens, ElementsAre(kOne, kTwo, kThr, kEe, kEnd));
  EXPECT_EQ(answer->usage.prompt, 3);
  EXPECT_EQ(answer->usage.cached, 0);
  EXPECT_EQ(answer->usage.answer, 5);
  EXPECT_EQ(answer->usage.context_tokens, 32);
  EXPECT_EQ(answer->timings.prompt_tokens, 3);
  EXPECT_EQ(answer->timings.decode_tokens, 4);
  EXPECT_GE(answer->timings.decode_seconds, 0);
}

TEST(Engine, GoesOnAfterTheEndWhenAskedTo) {
  const auto tokenizer = make_tokenizer();
  FakeContext context({.context_tokens = 32}, kVocab, script(1, {kEnd, kOne, kEnd}));
  Engine engine(context, {tokenizer.get(), kVocab});
  Request request = greedy({1}, 3);
  request.options.ignore_end = true;
  const auto answer = engine.run(std::move(request), kNever);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->tokens, ElementsAre(kEnd, kOne, kEnd));
  EXPECT_EQ(answer->stop_reason, StopReason::kTokenLimit);
}

TEST(Engine, StopsAtAStopStringAndNeverShowsItsBeginning) {
  const auto tokenizer = make_tokenizer();
  FakeContext context({.context_tokens = 32}, kVocab, script(1, {kOne, kThr, kEe, kTwo}));
  Engine engine(context, {tokenizer.get(), kVocab});
  Heard heard;
  Request request = greedy({1});
  request.options.stop = {"never", "three"};
  request.on_text = heard.callback();
  const auto answer = engine.run(std::move(request), kNever);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stop_reason, StopReason::kStopString);
  EXPECT_EQ(answer->stop_string, "three");
  EXPECT_EQ(answer->text, heard.text);
  EXPECT_THAT(answer->text, HasSubstr("one"));
  EXPECT_THAT(answer->text, testing::Not(HasSubstr("t")));
}

TEST(Engine, ShowsWholeCharactersOnly) {
  const auto tokenizer = make_tokenizer();
  FakeContext context({.context_tokens = 32}, kVocab, script(1, {11, 12, 13, kEnd}));
  Engine engine(context, {tokenizer.get(), kVocab});
  Request request = greedy({1});
  std::vector<std::string> events;
  request.on_text = [&](const StreamEvent& event) {
    events.emplace_back(event.text);
    return true;
  };
  ASSERT_TRUE(engine.run(std::move(request), kNever));
  EXPECT_THAT(events, ElementsAre("\u20ac"));
}

TEST(Engine, SplitsThinkingFromTheAnswer) {
  const auto tokenizer = make_tokenizer();
  const std::vector<TokenId> tokens = {kThink, kOne, kEndThink, kNewline, kTwo, kEnd};
  FakeContext context({.context_tokens = 32}, kVocab, script(1, tokens));
  Engine engine(context, {tokenizer.get(), kVocab});
  Heard heard;
  Request request = greedy({1});
  request.on_text = heard.callback();
  const auto answer = engine.run(std::move(request), kNever);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->thinking, HasSubstr("one"));
  EXPECT_THAT(answer->text, HasSubstr("two"));
  EXPECT_THAT(answer->text, testing::Not(HasSubstr("think")));
  EXPECT_EQ(heard.text, answer->text);
  EXPECT_EQ(heard.thinking, answer->thinking);
  EXPECT_EQ(answer->usage.thinking + answer->usage.answer, 6);
  EXPECT_GE(answer->usage.thinking, 2);
}

TEST(Engine, KnowsThatThePromptOpenedTheThought) {
  const auto tokenizer = make_tokenizer();
  FakeContext context({.context_tokens = 32}, kVocab, script(1, {kOne, kEndThink, kTwo, kEnd}));
  Engine engine(context, {tokenizer.get(), kVocab});
  Request request = greedy({1});
  request.text_before = "<|assistant|><think>\n";
  const auto answer = engine.run(std::move(request), kNever);
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->thinking, HasSubstr("one"));
  EXPECT_THAT(answer->text, HasSubstr("two"));
}

TEST(Engine, CutsPromptsIntoBatches) {
  FakeContext context({.context_tokens = 64, .batch_tokens = 8}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  std::vector<TokenId> prompt;
  for (TokenId i = 0; i < 20; ++i) prompt.push_back(i);
  ASSERT_TRUE(engine.run(greedy(prompt, 3), kNever));
  EXPECT_THAT(context.passes,
              ElementsAre(ElementsAre(Pair(0, 8)), ElementsAre(Pair(0, 8)), ElementsAre(Pair(0, 4)),
                          ElementsAre(Pair(0, 1)), ElementsAre(Pair(0, 1))));
}

TEST(Engine, ReusesWhatTheCacheHolds) {
  FakeContext context({.context_tokens = 64, .batch_tokens = 64}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  const auto first = engine.run(greedy({1, 2, 3, 4}, 4), kNever);
  ASSERT_TRUE(first);
  EXPECT_EQ(engine.cached_tokens(), 4 + 3);  // the last token drawn was not run

  // The next turn: the old prompt, the answer, and something new.
  std::vector<TokenId> prompt = {1, 2, 3, 4};
  prompt.insert(prompt.end(), first->tokens.begin(), first->tokens.end());
  prompt.push_back(9);
  context.passes.clear();
  const auto second = engine.run(greedy(prompt, 4), kNever);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->usage.cached, 7);
  EXPECT_EQ(second->timings.prompt_tokens, 2);
  EXPECT_EQ(context.passes[0][0].second, 2U);

  // The same tokens as from an empty cache.
  engine.clear();
  EXPECT_EQ(engine.cached_tokens(), 0);
  const auto fresh = engine.run(greedy(prompt, 4), kNever);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->usage.cached, 0);
  EXPECT_EQ(fresh->tokens, second->tokens);

  // A prompt that departs in its middle goes back to there; an equal one runs its last token.
  prompt[2] = 99;
  EXPECT_EQ(engine.run(greedy(prompt, 1), kNever)->usage.cached, 2);
  EXPECT_EQ(engine.run(greedy(prompt, 1), kNever)->usage.cached,
            static_cast<int64_t>(prompt.size()) - 1);
}

TEST(Engine, OverflowingPromptsAreToldBeforeRunning) {
  FakeContext context({.context_tokens = 8}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  const auto answer = engine.run(greedy(std::vector<TokenId>(9, 1)), kNever);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kContextOverflow);
  EXPECT_THAT(answer.error().message, HasSubstr("9 tokens"));
  EXPECT_THAT(answer.error().message, HasSubstr("only 8"));
  EXPECT_TRUE(context.passes.empty());
}

TEST(Engine, SaysWhenTheContextIsFull) {
  FakeContext context({.context_tokens = 8}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  const auto answer = engine.run(greedy({1, 2, 3, 4, 5}), kNever);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->stop_reason, StopReason::kContextFull);
  EXPECT_EQ(answer->tokens.size(), 4U);  // three find a place, the fourth is only drawn
  const auto full = engine.run(greedy({1, 2, 3, 4, 5, 6, 7, 8}), kNever);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->tokens.size(), 1U);
  EXPECT_EQ(full->stop_reason, StopReason::kContextFull);
}

TEST(Engine, TokenLimits) {
  FakeContext context({.context_tokens = 64}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  for (const int64_t limit : {0, 1, 5}) {
    const auto answer = engine.run(greedy({1, 2}, limit), kNever);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->tokens.size(), static_cast<size_t>(limit));
    EXPECT_EQ(answer->stop_reason, StopReason::kTokenLimit);
  }
}

TEST(Engine, TheCallbackCanStop) {
  const auto tokenizer = make_tokenizer();
  FakeContext context({.context_tokens = 32}, kVocab, script(1, {kOne, kTwo, kOne, kTwo}));
  Engine engine(context, {tokenizer.get(), kVocab});
  Heard heard;
  Request request = greedy({1});
  request.on_text = heard.callback(2);
  const auto answer = engine.run(std::move(request), kNever);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stop_reason, StopReason::kCancelled);
  EXPECT_THAT(answer->tokens, ElementsAre(kOne, kTwo));
  EXPECT_EQ(heard.n_events, 2);
  // The conversation goes on from what was read.
  EXPECT_TRUE(engine.run(greedy({1, kOne}, 2), kNever));
}

TEST(Engine, TheFlagStopsBetweenSteps) {
  std::atomic<bool> cancelled{false};
  FakeContext context({.context_tokens = 64, .batch_tokens = 4}, 1000,
                      [&](const std::vector<TokenId>& tokens) {
                        if (tokens.size() == 12) cancelled = true;
                        return mixed(tokens);
                      });
  Engine engine(context, {nullptr, 1000});
  const auto answer = engine.run(greedy({1, 2, 3, 4, 5, 6, 7, 8}), cancelled);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stop_reason, StopReason::kCancelled);
  EXPECT_EQ(answer->tokens.size(), 5U);
  cancelled = false;
  EXPECT_EQ(engine.run(greedy({1, 2, 3}, 2), cancelled)->tokens.size(), 2U);
}

TEST(Engine, CancelledBeforeItStartsItReadsNothing) {
  FakeContext context({.context_tokens = 64}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  const std::atomic<bool> cancelled{true};
  const auto answer = engine.run(greedy({1, 2, 3}), cancelled);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->stop_reason, StopReason::kCancelled);
  EXPECT_TRUE(context.passes.empty());
}

TEST(Engine, AFailedPassEndsTheAnswersAndForgetsTheCache) {
  FakeContext context({.context_tokens = 64}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  context.fail_after = 3;
  const auto answer = engine.run(greedy({1, 2, 3}), kNever);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("fell off"));
  EXPECT_EQ(engine.cached_tokens(), 0);
  EXPECT_TRUE(engine.run(greedy({1, 2, 3}, 2), kNever));
}

TEST(Engine, BadRequestsAreErrors) {
  FakeContext context({.context_tokens = 64}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  EXPECT_EQ(engine.run(greedy({}), kNever).error().code, ErrorCode::kUsage);
  EXPECT_THAT(engine.run(greedy({1000}), kNever).error().message, HasSubstr("0 to 999"));
  EXPECT_FALSE(engine.run(greedy({-1}), kNever));
  Request request = greedy({1});
  request.options.sampling.top_p = 2;
  EXPECT_THAT(engine.run(std::move(request), kNever).error().message, HasSubstr("top_p"));
  request = greedy({1});
  request.options.stop = {"x"};
  EXPECT_THAT(engine.run(std::move(request), kNever).error().message, HasSubstr("tokenizer"));
}

TEST(Engine, ManySequencesGiveTheAnswersOfEachAlone) {
  const auto alone = [](const std::vector<TokenId>& prompt) {
    FakeContext context({.context_tokens = 64, .batch_tokens = 8}, 1000, mixed);
    Engine engine(context, {nullptr, 1000});
    return engine.run(greedy(prompt, 6), kNever)->tokens;
  };
  const std::vector<std::vector<TokenId>> prompts = {
      {1, 2, 3}, std::vector<TokenId>(19, 4), {5}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 4}};
  FakeContext context({.context_tokens = 64, .max_sequences = 2, .batch_tokens = 8}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  std::vector<Sequence*> sequences;
  for (const auto& prompt : prompts) sequences.push_back(engine.submit(greedy(prompt, 6)).value());
  size_t most_chunks = 0;
  while (engine.step().value()) {
    most_chunks = std::max(most_chunks, context.passes.back().size());
    size_t n_tokens = 0;
    for (const auto& [sequence, n] : context.passes.back()) n_tokens += n;
    ASSERT_LE(n_tokens, 8U);
  }
  EXPECT_EQ(most_chunks, 2U);
  for (size_t i = 0; i < prompts.size(); ++i) {
    ASSERT_TRUE(sequences[i]->done());
    EXPECT_EQ(engine.take(sequences[i])->tokens, alone(prompts[i])) << "prompt " << i;
  }
}

TEST(Engine, DecodesGoBesideALongPromptAndBeforeIt) {
  FakeContext context({.context_tokens = 64, .max_sequences = 2, .batch_tokens = 8}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  ASSERT_TRUE(engine.submit(greedy({1, 2}, 20)));
  ASSERT_TRUE(engine.step().value());
  ASSERT_TRUE(engine.submit(greedy(std::vector<TokenId>(20, 3), 2)));
  context.passes.clear();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine.step().value());
  EXPECT_THAT(context.passes,
              ElementsAre(ElementsAre(Pair(0, 1), Pair(1, 7)), ElementsAre(Pair(0, 1), Pair(1, 7)),
                          ElementsAre(Pair(0, 1), Pair(1, 6))));
}

TEST(Engine, AWaitingRequestTakesTheSlotWithTheLongestCommonBeginning) {
  FakeContext context({.context_tokens = 64, .max_sequences = 2, .batch_tokens = 64}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  for (const TokenId first : {10, 20}) {
    Sequence* sequence = engine.submit(greedy({first, 1, 2, 3}, 1)).value();
    while (engine.step().value()) {
    }
    ASSERT_TRUE(engine.take(sequence));
  }
  EXPECT_EQ(engine.cached_tokens(), 8);
  EXPECT_EQ(engine.run(greedy({10, 1, 2, 9}, 1), kNever)->usage.cached, 3);
  EXPECT_EQ(engine.run(greedy({20, 1, 2, 9}, 1), kNever)->usage.cached, 3);
}

TEST(Engine, LogitsOfAllPositionsArriveInOrder) {
  FakeContext context({.context_tokens = 64, .batch_tokens = 8, .logits_rows = 3}, 1000, mixed);
  Engine engine(context, {nullptr, 1000});
  ASSERT_TRUE(engine.run(greedy({1, 2, 3}, 2), kNever));
  std::vector<TokenId> tokens;
  for (TokenId i = 0; i < 10; ++i) tokens.push_back(i * 3);
  std::vector<TokenId> best;
  ASSERT_TRUE(engine.logits(
      tokens,
      [&](int64_t first, int64_t n_rows, std::span<const float> rows) -> Result<void> {
        EXPECT_EQ(first, static_cast<int64_t>(best.size()));
        for (int64_t i = 0; i < n_rows; ++i) {
          const auto row = rows.subspan(static_cast<size_t>(i) * 1000, 1000);
          best.push_back(
              static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin()));
        }
        return {};
      },
      kNever));
  ASSERT_EQ(best.size(), 10U);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(best[i], mixed({tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(i) + 1}));
  }
  const auto overflow = engine.logits(
      std::vector<TokenId>(65, 1),
      [](int64_t, int64_t, std::span<const float>) { return Result<void>(); }, kNever);
  EXPECT_EQ(overflow.error().code, ErrorCode::kContextOverflow);
}

}  // namespace
}  // namespace llmrun::engine
