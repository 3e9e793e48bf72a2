// The sampling chain: from the logits of one position to the next token.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"
#include "llmrun/sampling_options.h"
#include "sampling/candidates.h"
#include "sampling/options.h"
#include "sampling/stage.h"

namespace llmrun::sampling {

// The memory that drawing a token takes. Chains of one vocabulary share it: nothing in it is of
// use after next().
struct Workspace {
  explicit Workspace(int64_t n_vocab)
      : candidates(static_cast<size_t>(n_vocab)), counts(static_cast<size_t>(n_vocab), 0) {}
  Candidates candidates;
  std::vector<int32_t> counts;  // [n_vocab], zero between stages
};

// The logits that Chain::next() looks at: the n_best best ones, and those of tokens by name.
// n_best 0: all.
struct Needs {
  size_t n_best = 0;
  std::span<const TokenId> named = {};
  // The draw is one that devices know (kernels/draw.h). Then this is the random number of it, and
  // for each named token what changes its logit.
  bool plain = false;
  double uniform = 0.0;
  std::span<const int32_t> counts = {};
  std::span<const float> biases = {};
};

// Holds the state that goes from token to token (mirostat's mu, the number of tokens drawn). Same
// options, seed, logits and history: same tokens.
class Chain {
 public:
  // Checks the options. `text` gives the text of a token and is needed for DRY's breakers only.
  static Result<Chain> make(SamplingOptions options, int64_t n_vocab, TokenText text = {});
  // What make() would say against the options; allocates nothing.
  static Result<void> check_options(const SamplingOptions& options, int64_t n_vocab);

  // The token after `history` (prompt and answer so far). At temperature 0 the best one after
  // bias, penalties and DRY; the lowest id on a tie. Logits that are not numbers, or that leave
  // no token possible, are an error.
  Result<TokenId> next(std::span<const float> logits, std::span<const TokenId> history,
                       Workspace& memory);

  // What the next draw looks at, for whoever has the logits elsewhere. Valid until the next call.
  Needs needs(std::span<const TokenId> history);
  // The same token from these logits, of the tokens `ids` in any order.
  Result<TokenId> next(std::span<const TokenId> ids, std::span<const float> logits,
                       std::span<const TokenId> history, Workspace& memory);

  // Takes the token that a device drew as needs() says, and its logit after bias and penalties;
  // or what it found instead: a logit that is no number, or (token -1) none that is possible.
  Result<TokenId> take(TokenId token, float logit);

  // Goes on behind `n_tokens` that were drawn by another chain of the same options and seed. Not
  // for mirostat, whose state depends on logits that are gone.
  void skip(uint64_t n_tokens) { n_drawn_ += n_tokens; }

  // The seed in use: the one in the options, or a random one.
  [[nodiscard]] uint64_t seed() const { return seed_; }
  [[nodiscard]] const SamplingOptions& options() const { return options_; }
  // The names of the stages that are active, in their order.
  [[nodiscard]] std::vector<std::string_view> stages() const;

 private:
  Chain(SamplingOptions options, TokenText text);
  // From the candidates in `memory`.
  Result<TokenId> draw(std::span<const TokenId> history, Workspace& memory);

  SamplingOptions options_;
  TokenText text_;
  uint64_t seed_ = 0;
  uint64_t n_drawn_ = 0;
  float mirostat_mu_ = 0.0F;
  std::vector<const Stage*> stages_;
  bool is_plain_ = true;  // all of them are
  // Of needs().
  std::vector<Touched> touched_;
  std::vector<TokenId> named_;
  std::vector<int32_t> counts_;
  std::vector<float> biases_;
};

}  // namespace llmrun::sampling
