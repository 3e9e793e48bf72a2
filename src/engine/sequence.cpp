// One request from its prompt to its last token.
#include "engine/sequence.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/fast_hash.h"

namespace llmrun::engine {
namespace {

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Cuts a prompt that is too long where the request wants that; gives how many tokens went.
Result<int64_t> fit_prompt(Request& request, int64_t context_tokens) {
  const GenerateOptions& options = request.options;
  const auto needed = static_cast<int64_t>(request.prompt.size());
  if (needed <= context_tokens) return 0;
  if (options.on_overflow == Overflow::kError) {
    return make_error(ErrorCode::kContextOverflow,
                      "The prompt needs {} tokens, but the context has only {}. Open a larger "
                      "context, shorten the prompt, or ask for --on-overflow truncate-front; "
                      "nothing is cut off silently.",
                      needed, context_tokens);
  }
  const int64_t room = context_tokens - reserved_for_answer(options, context_tokens);
  if (options.keep_tokens >= room) {
    return make_error(ErrorCode::kContextOverflow,
                      "What is to be kept of the prompt, its first {} tokens, leaves no room in a "
                      "context of {}, of which {} are for the answer. Open a larger context, or "
                      "shorten the system message.",
                      options.keep_tokens, context_tokens, context_tokens - room);
  }
  const int64_t n_dropped = needed - room;
  const auto from = request.prompt.begin() + options.keep_tokens;
  request.prompt.erase(from, from + n_dropped);
  return n_dropped;
}

}  // namespace

int64_t reserved_for_answer(const GenerateOptions& options, int64_t context_tokens) {
  const int64_t quarter = std::max<int64_t>(1, context_tokens / 4);
  return options.max_tokens < 0 ? quarter : std::min(options.max_tokens, context_tokens / 2);
}

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
  const GenerateOptions& options = request_.options;
  const int64_t room = context_tokens_ - generation_.usage.prompt;
  generation_.usage.reserved = options.max_tokens < 0 ? room : std::min(room, options.max_tokens);
  n_kept_ = std::min(options.keep_tokens, context_tokens_ / 2);
}

Result<int64_t> Sequence::check(Request& request, const Vocabulary& vocabulary,
                                int64_t context_tokens) {
  if (request.prompt.empty()) {
    return make_error(ErrorCode::kUsage,
                      "The prompt has no tokens. Write something, or let the tokenizer add a "
                      "beginning-of-text token.");
  }
  for (const std::vector<TokenId>* ids : {&request.prompt, &request.begun}) {
    for (const TokenId id : *ids) {
      if (id >= 0 && id < vocabulary.n_vocab) continue;
      return make_error(
          ErrorCode::kUsage, "The {} contains the token {}, but this model's tokens are 0 to {}.",
          ids == &request.prompt ? "prompt" : "answer so far", id, vocabulary.n_vocab - 1);
    }
  }
  if (!request.begun.empty() &&
      (request.options.sampling.mirostat != 0 || !request.options.sampling.seed ||
       request.options.on_overflow == Overflow::kShift)) {
    return make_error(ErrorCode::kUsage,
                      "An answer can be gone on with only when its seed is given, and neither "
                      "under mirostat nor with shifts. Begin it anew.");
  }
  LLMRUN_ASSIGN(const int64_t n_dropped, fit_prompt(request, context_tokens));
  if (vocabulary.tokenizer == nullptr && !request.options.stop.empty()) {
    return make_error(ErrorCode::kUsage,
                      "Stop strings need text, but this model has no tokenizer. Leave them out.");
  }
  LLMRUN_TRY(sampling::Chain::check_options(request.options.sampling, vocabulary.n_vocab));
  return n_dropped;
}

Result<std::unique_ptr<Sequence>> Sequence::create(Request request, const Vocabulary& vocabulary,
                                                   int64_t context_tokens) {
  LLMRUN_ASSIGN(const int64_t n_dropped, check(request, vocabulary, context_tokens));
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
  sequence->generation_.usage.dropped = n_dropped;
  if (sequence->request_.options.max_tokens == 0) sequence->stop(StopReason::kTokenLimit);
  sequence->repeat_begun();
  return sequence;
}

// Ends in the state that the earlier run was in after these tokens.
void Sequence::repeat_begun() {
  const std::vector<TokenId> begun = std::move(request_.begun);
  chain_.skip(begun.size());
  first_token_ = last_token_ = created_;
  for (const TokenId token : begun) {
    if (!done_) append(token);
  }
}

void Sequence::start(Lease lease, const PrefixTree::Match& match) {
  lease_ = std::move(lease);
  n_run_ = static_cast<size_t>(lease_.n_cached);
  if (std::exchange(started_once_, true)) return;  // goes on after a pause
  started_ = Clock::now();
  generation_.usage.cached = lease_.n_cached;
  generation_.timings.prompt_tokens = static_cast<int64_t>(tokens_.size()) - lease_.n_cached;
  if (!match.other) return;
  const TokenId given = tokens_[static_cast<size_t>(match.n_tokens)];
  generation_.departure = {match.n_tokens, *match.other, given, text_of(*match.other),
                           text_of(given)};
}

std::string Sequence::text_of(TokenId token) const {
  if (vocabulary_.tokenizer == nullptr) return "";
  return std::string(vocabulary_.tokenizer->piece(token, true));
}

// Drops the older half of what may go. What was drawn from stays drawn: only what the model sees
// from here on is shorter.
void Sequence::shift() {
  must_shift_ = false;
  const auto n_keep = static_cast<size_t>(n_kept_);
  const size_t n_drop = std::max<size_t>(1, (tokens_.size() - n_keep) / 2);
  const auto from = tokens_.begin() + static_cast<ptrdiff_t>(n_keep);
  tokens_.erase(from, from + static_cast<ptrdiff_t>(n_drop));
  generation_.usage.dropped += static_cast<int64_t>(n_drop);
}

sampling::Needs Sequence::needs() {
  return request_.options.hash_logits ? sampling::Needs{} : chain_.needs(tokens_);
}

void Sequence::draw(std::span<const TokenId> ids, std::span<const float> logits,
                    sampling::Workspace& memory) {
  if (request_.options.hash_logits) {
    auto& hashes = generation_.logits_hashes;
    hashes.push_back(fast_hash(std::as_bytes(logits), hashes.empty() ? 0 : hashes.back()));
  }
  drawn_ = ids.empty() ? chain_.next(logits, tokens_, memory)
                       : chain_.next(ids, logits, tokens_, memory);
}

void Sequence::accept() {
  if (!drawn_) {
    fail(drawn_.error());
    return;
  }
  last_token_ = Clock::now();
  if (generation_.tokens.empty()) first_token_ = last_token_;
  append(*drawn_);
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
  } else if (request_.options.loop_guard && loop_guard_.push(generation_.tokens)) {
    stop(StopReason::kLoop);
  } else if (limit >= 0 && static_cast<int64_t>(generation_.tokens.size()) >= limit) {
    stop(StopReason::kTokenLimit);
  } else if (static_cast<int64_t>(tokens_.size()) > context_tokens_) {
    // The new token has no place to be run in.
    must_shift_ = request_.options.on_overflow == Overflow::kShift;
    if (!must_shift_) stop(StopReason::kContextFull);
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
    timings.prompt_seconds = seconds(first_token_ - started_);
    timings.decode_seconds = seconds(last_token_ - first_token_);
    timings.decode_tokens = static_cast<int64_t>(generation_.tokens.size()) - 1;
  } else {
    timings.prompt_tokens = 0;
  }
  return std::move(generation_);
}

}  // namespace llmrun::engine
