// The state of one request: its tokens, its sampler, its text so far and why it stopped.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chat/thinking.h"
#include "engine/slots.h"
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
};

// What sequences of one model share.
struct Vocabulary {
  const tokenizer::Tokenizer* tokenizer = nullptr;  // null: a model without one; ids only
  int64_t n_vocab = 0;
};

class Sequence {
 public:
  // Checks the request against the context: kContextOverflow names the tokens needed and there.
  static Result<std::unique_ptr<Sequence>> create(Request request, const Vocabulary& vocabulary,
                                                  int64_t context_tokens);

  // Prompt and answer. Those from the slot's cached ones on have not been run yet.
  [[nodiscard]] std::span<const TokenId> tokens() const { return tokens_; }
  [[nodiscard]] std::span<const TokenId> prompt() const {
    return std::span(tokens_).first(n_prompt_);
  }
  [[nodiscard]] bool done() const { return done_; }

  // Takes the slot's cached tokens over; reading the rest of the prompt begins.
  void start(Slot& slot);
  [[nodiscard]] Slot* slot() const { return slot_; }
  // Tokens that must be run before the next one can be drawn.
  [[nodiscard]] std::span<const TokenId> pending() const;
  // The first n pending tokens have been run.
  void advance(size_t n);

  // Draws the next token, tells its text, and sees whether the answer ends here.
  void accept(std::span<const float> logits);
  void cancel();
  void fail(Error error);
  // The answer, once done() holds; or the error that ended it.
  Result<Generation> finish();

 private:
  using Clock = std::chrono::steady_clock;
  Sequence(Request request, const Vocabulary& vocabulary, int64_t context_tokens,
           sampling::Chain chain);
  void append(TokenId token);
  // Splits settled text into thinking and answer and hands it on; false: the callback said stop.
  bool emit(const std::string& text);
  bool tell(const std::string& text, bool thinking);
  void stop(StopReason reason);
  [[nodiscard]] bool ends_generation(TokenId token) const;

  Request request_;
  Vocabulary vocabulary_;
  int64_t context_tokens_;
  sampling::Chain chain_;
  std::optional<tokenizer::StreamDecoder> decoder_;
  chat::ThinkingSplitter splitter_;
  std::vector<TokenId> tokens_;
  size_t n_prompt_;
  Slot* slot_ = nullptr;
  bool done_ = false;
  std::optional<Error> error_;
  Generation generation_;
  Clock::time_point created_, first_token_, last_token_;
};

}  // namespace llmrun::engine
