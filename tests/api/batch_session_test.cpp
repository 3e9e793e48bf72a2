// BatchSession: many requests at once give what each gives alone, also when they are gone on with.
#include "llmrun/batch_session.h"

#include <gtest/gtest.h>

#include <map>

#include "api_fixture.h"

namespace llmrun {
namespace {

class ManyRequests : public testing::Test {
 protected:
  BatchRequest request(uint64_t id, const std::string& text) {
    BatchRequest request;
    request.id = id;
    request.prompt = must(model_.tokenize(text));
    request.options.max_tokens = 24;
    request.options.sampling.seed = id;
    request.options.sampling.temperature = 1.0F;
    request.options.sampling.repeat_penalty = 1.2F;
    return request;
  }

  BatchSession session(int64_t max_sequences, int64_t batch_tokens = 512) {
    ContextOptions options;
    options.context_tokens = 128;
    options.max_sequences = max_sequences;
    options.batch_tokens = batch_tokens;
    return must(BatchSession::open(model_, options));
  }

  static std::map<uint64_t, Generation> run(BatchSession& session) {
    std::map<uint64_t, Generation> answers;
    for (bool more = true; more;) {
      more = must(session.step());
      for (BatchAnswer& answer : session.take_finished()) {
        answers[answer.id] = must(std::move(answer.generation));
      }
    }
    return answers;
  }

  Generation alone(const BatchRequest& request) {
    ContextOptions options;
    options.context_tokens = 128;
    Session session = must(model_.new_session(options));
    return must(session.complete(request.prompt, request.options));
  }

  std::vector<BatchRequest> mixed() {
    std::vector<BatchRequest> requests;
    const std::string shared = "The same beginning, again and again, for all of them: ";
    for (uint64_t i = 0; i < 12; ++i) {
      requests.push_back(request(i, (i % 3 == 0 ? "" : shared) + std::string(i + 1, 'a')));
      requests.back().options.max_tokens = 4 + static_cast<int64_t>(i);
    }
    requests[5].options.stop = {"e"};
    requests[6].options.sampling.temperature = 0.0F;
    return requests;
  }

  Model model_ = must(Model::open(tiny_chat_path()));
};

TEST_F(ManyRequests, EachAnswersAsAlone) {
  for (const int64_t parallel : {1, 3, 12}) {
    BatchSession many = session(parallel, parallel == 3 ? 7 : 512);
    for (BatchRequest& request : mixed()) must(many.submit(std::move(request)));
    const auto answers = run(many);
    ASSERT_EQ(answers.size(), 12U);
    for (const BatchRequest& request : mixed()) {
      const Generation expected = alone(request);
      EXPECT_EQ(answers.at(request.id).tokens, expected.tokens) << request.id;
      EXPECT_EQ(answers.at(request.id).text, expected.text);
      EXPECT_EQ(answers.at(request.id).stop_reason, expected.stop_reason);
    }
  }
}

TEST_F(ManyRequests, AnAnswerThatWasBegunGoesOnAsIfNothingHadHappened) {
  for (const BatchRequest& original : mixed()) {
    const Generation whole = alone(original);
    BatchSession many = session(4);
    for (size_t n = 0; n <= whole.tokens.size(); ++n) {
      BatchRequest request = original;
      request.id = n;
      request.begun.assign(whole.tokens.begin(), whole.tokens.begin() + static_cast<ptrdiff_t>(n));
      must(many.submit(std::move(request)));
    }
    for (const auto& [n, generation] : run(many)) {
      EXPECT_EQ(generation.tokens, whole.tokens) << n;
      EXPECT_EQ(generation.text, whole.text) << n;
      EXPECT_EQ(generation.stop_reason, whole.stop_reason) << n;
      EXPECT_EQ(generation.stop_string, whole.stop_string) << n;
    }
  }
}

TEST_F(ManyRequests, TellsHowFarEachIs) {
  BatchSession many = session(2, 4);
  must(many.submit(request(7, "a long prompt that takes several passes")));
  must(many.submit(request(8, "short")));
  EXPECT_FALSE(many.unfinished()[0].prompt_read);
  while (!many.unfinished()[0].prompt_read) must(many.step());
  EXPECT_EQ(many.unfinished()[0].id, 7U);
  must(many.step());
  EXPECT_GE(many.unfinished()[0].answer.size(), 1U);
  EXPECT_EQ(run(many).size(), 2U);
  EXPECT_FALSE(must(many.step()));
}

TEST_F(ManyRequests, ChecksWithoutWeights) {
  const Model vocabulary = must(Model::open_vocabulary(tiny_chat_path()));
  BatchRequest good = request(0, "Hello");
  must(check_request(vocabulary, good, 64));
  const auto overflow = check_request(vocabulary, good, 2);
  ASSERT_FALSE(overflow);
  EXPECT_EQ(overflow.error().code, ErrorCode::kContextOverflow);
  BatchRequest bad = good;
  bad.options.sampling.top_p = 2;
  EXPECT_FALSE(check_request(vocabulary, bad, 64));
  bad = good;
  bad.begun = {1};
  bad.options.sampling.mirostat = 2;
  EXPECT_FALSE(check_request(vocabulary, bad, 64));
  bad = good;
  bad.prompt.push_back(1 << 20);
  EXPECT_FALSE(check_request(vocabulary, bad, 64));
  EXPECT_FALSE(session(1).submit(std::move(bad)));
}

TEST_F(ManyRequests, ModelsThatDoNotWriteAreRefused) {
  const auto path = std::filesystem::path(tests::kSourceDir) / "tests/data/encoders/bert.gguf";
  const Model model = must(Model::open(path));
  const auto session = BatchSession::open(model, {});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace llmrun
