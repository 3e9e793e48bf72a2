// One request from its prompt to its last token.
#include "engine/sequence.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace llmrun::engine {
namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Sequence::Sequence(Request request, const Vocabulary& vocabulary, int64_t context_tokens,
                   sampling::Chain chain)
    : request_(std::move(request)),
      vocabulary_(vocabulary),
      context_tokens_(context_tokens),
      chain_(std::move(chain)),
      splitter_(request_.text_before),
      tokens_(request_.prompt),
      n_prompt_(tokens_.size()),
      created_(Clock::now()) {
  if (vocabulary_.tokenizer != nullptr) {
    decoder_.emplace(*vocabulary_.tokenizer, request_.options.stop);
  }
  tokens_.reserve(static_cast<size_t>(context_tokens_) + 1);
  generation_.seed = chain_.seed();
  generation_.usage.context_tokens = context_tokens_;
  generation_.usage.prompt = static_cast<int64_t>(n_prompt_);
}

Result<std::unique_ptr<Sequence>> Sequence::create(Request request, const Vocabulary& vocabulary,
                                                   int64_t context_tokens) {
  if (request.prompt.empty()) {
    return make_error(ErrorCode::kUsage,
                      "The prompt has no tokens. Write something, or let the tokenizer add a "
                      "beginning-of-text token.");
  }
  for (const TokenId id : request.prompt) {
    if (id >= 0 && id < vocabulary.n_vocab) continue;
    return make_error(ErrorCode::kUsage,
                      "The prompt contains the token {}, but this model's tokens are 0 to {}.", id,
                      vocabulary.n_vocab - 1);
  }
  const auto needed = static_cast<int64_t>(request.prompt.size());
  if (needed > context_tokens) {
    return make_error(ErrorCode::kContextOverflow,
                      "The prompt needs {} tokens, but the context has only {}. Open a larger "
                      "context, or shorten the prompt; nothing is cut off silently.",
                      needed, context_tokens);
  }
  if (vocabulary.tokenizer == nullptr && !request.options.stop.empty()) {
    return make_error(ErrorCode::kUsage,
                      "Stop strings need text, but this model has no tokenizer. Leave them out.");
  }
  sampling::TokenText text;
  if (vocabulary.tokenizer != nullptr) {
    text = [tokenizer = vocabulary.tokenizer](TokenId id) {
      return std::string(tokenizer->piece(id));
    };
  }
  LLMRUN_ASSIGN(auto chain, sampling::Chain::make(request.options.sampling, vocabulary.n_vocab,
                                                  std::move(text)));
  auto sequence = std::unique_ptr<Sequence>(
      new Sequence(std::move(request), vocabulary, context_tokens, std::move(chain)));
  if (sequence->request_.options.max_tokens == 0) sequence->stop(StopReason::kTokenLimit);
  return sequence;
}

void Sequence::start(Slot& slot) {
  slot_ = &slot;
  const auto n_cached = static_cast<int64_t>(slot.tokens.size());
  generation_.usage.cached = n_cached;
  generation_.timings.prompt_tokens = static_cast<int64_t>(n_prompt_) - n_cached;
}

std::span<const TokenId> Sequence::pending() const {
  return std::span(tokens_).subspan(slot_->tokens.size());
}

void Sequence::advance(size_t n) {
  const auto run = pending().first(n);
  slot_->tokens.insert(slot_->tokens.end(), run.begin(), run.end());
}

void Sequence::accept(std::span<const float> logits) {
  const auto token = chain_.next(logits, tokens_);
  if (!token) {
    fail(token.error());
    return;
  }
  last_token_ = Clock::now();
  if (generation_.tokens.empty()) first_token_ = last_token_;
  append(*token);
}

bool Sequence::ends_generation(TokenId token) const {
  return !request_.options.ignore_end && vocabulary_.tokenizer != nullptr &&
         vocabulary_.tokenizer->is_end_of_generation(token);
}

void Sequence::append(TokenId token) {
  tokens_.push_back(token);
  generation_.tokens.push_back(token);
  const bool was_thinking = splitter_.thinking();
  const bool is_end = ends_generation(token);
  bool go_on = true;
  if (decoder_ && !is_end) go_on = emit(decoder_->push(token));
  ++(was_thinking || splitter_.thinking() ? generation_.usage.thinking : generation_.usage.answer);

  const auto limit = request_.options.max_tokens;
  if (!go_on) {
    stop(StopReason::kCancelled);
  } else if (is_end) {
    stop(StopReason::kEndOfTurn);
  } else if (decoder_ && decoder_->stopped()) {
    generation_.stop_string = decoder_->stop_string();
    stop(StopReason::kStopString);
  } else if (limit >= 0 && static_cast<int64_t>(generation_.tokens.size()) >= limit) {
    stop(StopReason::kTokenLimit);
  } else if (static_cast<int64_t>(tokens_.size()) > context_tokens_) {
    stop(StopReason::kContextFull);  // the new token has no place to be run in
  }
}

bool Sequence::tell(const std::string& text, bool thinking) {
  if (text.empty()) return true;
  (thinking ? generation_.thinking : generation_.text) += text;
  return !request_.on_text || request_.on_text({text, thinking});
}

bool Sequence::emit(const std::string& text) {
  if (text.empty()) return true;
  const chat::ThinkingSplit split = splitter_.feed(text);
  return tell(split.thinking, true) && tell(split.answer, false);
}

void Sequence::stop(StopReason reason) {
  if (done_) return;
  done_ = true;
  generation_.stop_reason = reason;
  if (!decoder_) return;
  // What was held back is settled now; after a cancel nobody wants to hear of it any more.
  if (reason == StopReason::kCancelled) request_.on_text = nullptr;
  bool go_on = emit(decoder_->flush());
  const chat::ThinkingSplit split = splitter_.finish();
  go_on = go_on && tell(split.thinking, true);
  if (go_on) tell(split.answer, false);
}

void Sequence::cancel() { stop(StopReason::kCancelled); }

void Sequence::fail(Error error) {
  done_ = true;
  error_ = std::move(error);
}

Result<Generation> Sequence::finish() {
  if (error_) return tl::unexpected(*error_);
  if (!done_) return make_error(ErrorCode::kInternal, "The answer is not complete yet.");
  Timings& timings = generation_.timings;
  if (!generation_.tokens.empty()) {
    timings.first_token_seconds = seconds(first_token_ - created_);
    timings.prompt_seconds = timings.first_token_seconds;
    timings.decode_seconds = seconds(last_token_ - first_token_);
    timings.decode_tokens = static_cast<int64_t>(generation_.tokens.size()) - 1;
  } else {
    timings.prompt_tokens = 0;
  }
  return std::move(generation_);
}

}  // namespace llmrun::engine
