// Adds what the user asked for to the logits of single tokens; -inf forbids a token.
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
                 std::vector<TokenId>& tokens) {
  for (const auto& [id, bias] : options.logit_bias) tokens.push_back(id);
}

}  // namespace

const Stage kStage_logit_bias = {"logit_bias", Phase::kLogits, is_active, apply, add_touched};

}  // namespace llmrun::sampling
