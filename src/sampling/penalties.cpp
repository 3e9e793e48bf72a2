// Makes tokens of the recent past less likely: repetition (Keskar et al., CTRL, 2019: divides
// positive logits, multiplies negative ones), frequency (per occurrence), presence (once).
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) {
  return options.penalty_window != 0 &&
         (options.repeat_penalty != 1.0F || options.frequency_penalty != 0.0F ||
          options.presence_penalty != 0.0F);
}

void apply(Step& step, Candidates& candidates) {
  const SamplingOptions& options = step.options;
  const auto recent = last_tokens(step.history, options.penalty_window);
  for (const TokenId id : recent) {
    if (candidates.has(id)) ++step.counts[static_cast<size_t>(id)];
  }
  for (const TokenId id : recent) {
    if (!candidates.has(id)) continue;
    int32_t& count = step.counts[static_cast<size_t>(id)];
    if (count == 0) continue;  // done at an earlier occurrence
    float logit = candidates.logit_of(id);
    logit = logit > 0.0F ? logit / options.repeat_penalty : logit * options.repeat_penalty;
    logit -= static_cast<float>(count) * options.frequency_penalty + options.presence_penalty;
    candidates.change(id, logit);
    count = 0;
  }
}

void add_touched(const SamplingOptions& options, std::span<const TokenId> history,
                 std::vector<Touched>& tokens) {
  for (const TokenId id : last_tokens(history, options.penalty_window)) {
    tokens.push_back({id, 1, 0.0F});
  }
}

}  // namespace

const Stage kStage_penalties = {"penalties", Phase::kLogits,  is_active,
                                apply,       is_plain_always, add_touched};

}  // namespace llmrun::sampling
