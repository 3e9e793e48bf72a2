// Adds what the user asked for to the logits of single tokens; -inf forbids a token.
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return !options.logit_bias.empty(); }

void apply(Step& step, Candidates& candidates) {
  for (const auto& [id, bias] : step.options.logit_bias) {
    if (id < 0 || static_cast<size_t>(id) >= candidates.size()) continue;
    candidates.change(id, candidates.logit_of(id) + bias);
  }
}

}  // namespace

const Stage kStage_logit_bias = {"logit_bias", Phase::kLogits, is_active, apply};

}  // namespace llmrun::sampling
