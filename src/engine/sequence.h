// The state of one request: its tokens, its sampler, its text so far and why it stopped.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "chat/thinking.h"
#include "engine/loop_guard.h"
#include "engine/prefix_cache.h"
#include "llmrun/error.h"
#include "llmrun/generation.h"
#include "sampling/chain.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace llmrun::engine {

struct Request {
  std::vector<TokenId> prompt;
  GenerateOptions options;
  StreamCallback on_text;   // may be empty
  std::string text_before;  // the prompt's text, whose tail says whether the model starts thinking
  // How the answer begins, from an earlier run of the same request: it goes on with the very token
  // that run would have drawn next. Needs the seed of that run.
  std::vector<TokenId> begun = {};
};

// What sequences of one model share.
struct Vocabulary {
  const tokenizer::Tokenizer* tokenizer = nullptr;  // null: a model without one; ids only
  int64_t n_vocab = 0;
};

// Tokens of the context that are left to the answer when a prompt is cut.
int64_t reserved_for_answer(const GenerateOptions& options, int64_t context_tokens);

class Sequence {
 public:
  // Checks the request against the context: kContextOverflow names the tokens needed and there.
  // Where it wants its prompt cut, cuts it; gives how many tokens went.
  static Result<int64_t> check(Request& request, const Vocabulary& vocabulary,
                               int64_t context_tokens);
  // The same, and makes it ready to run.
  static Result<std::unique_ptr<Sequence>> create(Request request, const Vocabulary& vocabulary,
                                                  int64_t context_tokens);

  // Prompt and answer. Those after run_tokens() have not been run yet.
  [[nodiscard]] std::span<const TokenId> tokens() const { return tokens_; }
  [[nodiscard]] std::span<const TokenId> prompt() const {
    return std::span(tokens_).first(n_prompt_);
  }
  [[nodiscard]] std::span<const TokenId> answer() const { return generation_.tokens; }
  [[nodiscard]] bool done() const { return done_; }
  // Whether all of the prompt was run, or found in the cache.
  [[nodiscard]] bool has_read_prompt() const { return n_run_ >= n_prompt_; }

  // True once: the first time it is looked at for running.
  [[nodiscard]] bool is_new() { return std::exchange(is_new_, false); }
  // Its place among all requests.
  void set_order(uint64_t order) { order_ = order; }
  [[nodiscard]] uint64_t order() const { return order_; }

  // Takes what the cache holds over; reading the rest begins. `match` says where the prompt departs
  // from what was read before.
  void start(Lease lease, const PrefixTree::Match& match);
  [[nodiscard]] Lease& lease() { return lease_; }
  [[nodiscard]] const Lease& lease() const { return lease_; }
  // The lease was given back; start() goes on where the sequence was.
  void pause() { n_run_ = 0; }
  // Tokens that the cache holds.
  [[nodiscard]] std::span<const TokenId> run_tokens() const {
    return std::span(tokens_).first(n_run_);
  }
  // Tokens that must be run before the next one can be drawn.
  [[nodiscard]] std::span<const TokenId> pending() const {
    return std::span(tokens_).subspan(n_run_);
  }
  // The first n pending tokens have been run.
  void advance(size_t n) { n_run_ += n; }

  // The logits that the next draw looks at.
  [[nodiscard]] sampling::Needs needs();
  [[nodiscard]] const SamplingOptions& sampling() const { return chain_.options(); }
  // Draws the next token from the logits of the tokens `ids`, or of all when there are none.
  // Sequences may draw at the same time, each in a memory of its own.
  void draw(std::span<const TokenId> ids, std::span<const float> logits,
            sampling::Workspace& memory);
  // Instead, when the device has drawn (sampling::Chain::take()).
  void take(TokenId token, float logit) { drawn_ = chain_.take(token, logit); }
  // Accepts what was drawn: tells its text, and sees whether the answer ends here.
  void accept();
  // The context is full, and the request wants its oldest tokens dropped: shift() does so, once
  // the lease was given back.
  [[nodiscard]] bool must_shift() const { return must_shift_ && !done_; }
  void shift();
  void cancel();
  void fail(Error error);
  // The answer, once done() holds; or the error that ended it.
  Result<Generation> finish();

 private:
  using Clock = std::chrono::steady_clock;
  Sequence(Request request, const Vocabulary& vocabulary, int64_t context_tokens,
           sampling::Chain chain);
  void append(TokenId token);
  [[nodiscard]] std::string text_of(TokenId token) const;
  void repeat_begun();
  // Splits settled text into thinking and answer and hands it on; false: the callback said stop.
  bool emit(const std::string& text);
  bool tell(const std::string& text, bool thinking);
  void stop(StopReason reason);
  [[nodiscard]] bool ends_generation(TokenId token) const;

  Request request_;
  Vocabulary vocabulary_;
  int64_t context_tokens_;
  sampling::Chain chain_;
  Result<TokenId> drawn_ = TokenId{0};
  std::optional<tokenizer::StreamDecoder> decoder_;
  chat::ThinkingSplitter splitter_;
  std::vector<TokenId> tokens_;
  size_t n_prompt_;
  int64_t n_kept_ = 0;  // first tokens that a shift leaves
  Lease lease_;
  size_t n_run_ = 0;
  uint64_t order_ = 0;
  bool is_new_ = true;
  bool started_once_ = false;
  bool must_shift_ = false;
  bool done_ = false;
  LoopGuard loop_guard_;
  std::optional<Error> error_;
  Generation generation_;
  Clock::time_point created_, started_, first_token_, last_token_;
};

}  // namespace llmrun::engine
