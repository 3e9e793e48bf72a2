// Adds what the user asked for to the logits of single tokens; -inf forbids a token.
#include <algorithm>

#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return !options.logit_bias.empty(); }

void apply(Step& step, Candidates& candidates) {
  for (const auto& [id, bias] : step.options.logit_bias) {
    if (!candidates.has(id)) continue;
    candidates.change(id, candidates.logit_of(id) + bias);
  }
}

void add_touched(const SamplingOptions& options, std::span<const TokenId> /*history*/,
                 std::vector<Touched>& tokens) {
  for (const auto& [id, bias] : options.logit_bias) tokens.push_back({id, 0, bias});
}

// Several additions to one logit round one by one.
bool is_plain(const SamplingOptions& options) {
  std::vector<TokenId> ids;
  for (const auto& [id, bias] : options.logit_bias) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

}  // namespace

const Stage kStage_logit_bias = {"logit_bias", Phase::kLogits, is_active,
                                 apply,        is_plain,       add_touched};

}  // namespace llmrun::sampling
