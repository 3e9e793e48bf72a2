// Keeps the k most probable tokens.
#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

bool is_active(const SamplingOptions& options) { return options.top_k > 0; }

void apply(Step& step, Candidates& candidates) {
  candidates.keep_best(static_cast<size_t>(step.options.top_k));
}

size_t n_best(const SamplingOptions& options) { return static_cast<size_t>(options.top_k); }

}  // namespace

const Stage kStage_top_k = {"top_k",         Phase::kTruncate, is_active, apply,
                            is_plain_always, nullptr,          n_best};

}  // namespace llmrun::sampling
