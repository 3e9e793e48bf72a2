// Picks the active stages once, runs them for each token.
#include "sampling/chain.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "sampling/generator.h"

namespace llmrun::sampling {
namespace {

constexpr const Stage* kStages[] = {
#define LLMRUN_SAMPLER(stem) &kStage_##stem,
#include "sampling/samplers.def"  // IWYU pragma: keep
#undef LLMRUN_SAMPLER
};

// A chain that may change the logits of more tokens (repeated ones counted) looks at all.
constexpr size_t kMostTouched = 1024;

bool runs(const Stage& stage, const SamplingOptions& options) {
  if (!stage.is_active(options)) return false;
  if (stage.phase == Phase::kLogits) return true;
  if (options.temperature == 0.0F) return false;  // greedy
  return stage.phase != Phase::kTruncate || options.mirostat == 0;
}

tl::unexpected<Error> none_possible() {
  return make_error(ErrorCode::kUsage,
                    "No token is left to choose from: every logit is -inf. Look at logit_bias.");
}

tl::unexpected<Error> no_number(TokenId id, float logit) {
  return make_error(ErrorCode::kBadModel,
                    "The model computed {} as the logit of token {}: its weights are damaged, or "
                    "they overflow in this arithmetic. Check the file's sha256, or try another "
                    "quantisation of the model.",
                    logit, id);
}

bool is_number(float logit) { return logit < std::numeric_limits<float>::infinity(); }

Result<void> check(Candidates& candidates) {
  const auto condition = candidates.condition();
  if (condition == Candidates::Condition::kNonePossible) return none_possible();
  if (condition == Candidates::Condition::kGood) return {};
  const auto all = candidates.items();
  const auto bad =
      std::find_if(all.begin(), all.end(), [](const Candidate& c) { return !is_number(c.logit); });
  return no_number(bad->id, bad->logit);
}

}  // namespace

Chain::Chain(SamplingOptions options, TokenText text)
    : options_(std::move(options)),
      text_(std::move(text)),
      seed_(options_.seed ? *options_.seed : random_seed()),
      mirostat_mu_(2.0F * options_.mirostat_tau) {
  for (const Stage* stage : kStages) {
    if (!runs(*stage, options_)) continue;
    stages_.push_back(stage);
    is_plain_ = is_plain_ && stage->is_plain != nullptr && stage->is_plain(options_);
  }
}

Result<void> Chain::check_options(const SamplingOptions& options, int64_t n_vocab) {
  LLMRUN_TRY(validate(options));
  if (n_vocab <= 0 || n_vocab > std::numeric_limits<TokenId>::max()) {
    return make_error(ErrorCode::kInternal, "A sampling chain for {} tokens was asked for.",
                      n_vocab);
  }
  for (const auto& [id, bias] : options.logit_bias) {
    if (id < n_vocab) continue;
    return make_error(ErrorCode::kUsage,
                      "logit_bias names token {}, but the vocabulary of this model ends at {}.", id,
                      n_vocab - 1);
  }
  return {};
}

Result<Chain> Chain::make(SamplingOptions options, int64_t n_vocab, TokenText text) {
  LLMRUN_TRY(check_options(options, n_vocab));
  return Chain(std::move(options), std::move(text));
}

Result<TokenId> Chain::next(std::span<const float> logits, std::span<const TokenId> history,
                            Workspace& memory) {
  if (logits.size() != memory.counts.size()) {
    return make_error(ErrorCode::kInternal, "The chain was made for {} tokens and got {} logits.",
                      memory.counts.size(), logits.size());
  }
  memory.candidates.assign(logits);
  return draw(history, memory);
}

Result<TokenId> Chain::next(std::span<const TokenId> ids, std::span<const float> logits,
                            std::span<const TokenId> history, Workspace& memory) {
  memory.candidates.assign(ids, logits);
  return draw(history, memory);
}

Needs Chain::needs(std::span<const TokenId> history) {
  touched_.clear();
  auto stage = stages_.begin();
  for (; stage != stages_.end() && (*stage)->phase == Phase::kLogits; ++stage) {
    if ((*stage)->add_touched == nullptr) return {};
    (*stage)->add_touched(options_, history, touched_);
    if (touched_.size() > kMostTouched) return {};
  }
  if (stage != stages_.end() && (*stage)->n_best == nullptr) return {};
  const size_t n_best = stage == stages_.end() ? 1 : (*stage)->n_best(options_);
  std::sort(touched_.begin(), touched_.end(),
            [](const Touched& a, const Touched& b) { return a.id < b.id; });
  named_.clear();
  counts_.clear();
  biases_.clear();
  for (const Touched& touched : touched_) {
    if (named_.empty() || named_.back() != touched.id) {
      named_.push_back(touched.id);
      counts_.push_back(0);
      biases_.push_back(0.0F);
    }
    counts_.back() += touched.count;
    biases_.back() += touched.bias;  // one at most, when this is looked at
  }
  // As many of the best ones may be among those that a stage makes worse.
  Needs needs{n_best + named_.size(), named_};
  if (!is_plain_) return needs;
  needs.plain = true;
  needs.uniform = uniform(seed_, n_drawn_, Purpose::kDraw);
  needs.counts = counts_;
  needs.biases = biases_;
  return needs;
}

Result<TokenId> Chain::take(TokenId token, float logit) {
  if (token < 0) return none_possible();
  if (!is_number(logit)) return no_number(token, logit);
  ++n_drawn_;
  return token;
}

Result<TokenId> Chain::draw(std::span<const TokenId> history, Workspace& memory) {
  Candidates& candidates = memory.candidates;
  LLMRUN_TRY(check(candidates));
  Step step{options_, history, seed_, n_drawn_, text_, memory.counts, mirostat_mu_, -1};
  auto stage = stages_.begin();
  for (; stage != stages_.end() && (*stage)->phase == Phase::kLogits; ++stage) {
    (*stage)->apply(step, candidates);
  }
  if (stage != stages_.begin()) LLMRUN_TRY(check(candidates));
  for (; stage != stages_.end(); ++stage) (*stage)->apply(step, candidates);
  ++n_drawn_;
  if (step.chosen < 0) step.chosen = candidates.top().id;  // greedy
  return step.chosen;
}

std::vector<std::string_view> Chain::stages() const {
  std::vector<std::string_view> names;
  for (const Stage* stage : stages_) names.push_back(stage->name);
  return names;
}

}  // namespace llmrun::sampling
