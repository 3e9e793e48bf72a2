// What a batch would take: its plan of memory, and its time from a short calibration.
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "batch/job.h"
#include "batch/parallel.h"
#include "llmrun/batch_session.h"

namespace llmrun::batch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMostSeconds = 3.0;  // of one measurement

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Reads different prompts with all places of the session taken, then lets all of them write.
Result<void> calibrate(BatchSession& session, int64_t n_vocab, int64_t parallel,
                       GroupEstimate& estimate) {
  const int64_t n_prompt = std::clamp<int64_t>(session.context_tokens() / 2, 1, 64);
  const int64_t n_answer = std::clamp<int64_t>(session.context_tokens() - n_prompt, 1, 16);
  uint64_t state = 88172645463325252U;
  for (int64_t i = 0; i < parallel; ++i) {
    BatchRequest request;
    request.id = static_cast<uint64_t>(i);
    for (int64_t k = 0; k < n_prompt; ++k) {
      state ^= state << 13U;
      state ^= state >> 7U;
      state ^= state << 17U;
      request.prompt.push_back(static_cast<TokenId>(state % static_cast<uint64_t>(n_vocab)));
    }
    request.options.sampling.seed = 0;
    request.options.ignore_end = true;
    request.options.max_tokens = n_answer;
    LLMRUN_TRY(session.submit(std::move(request)));
  }
  const auto all_read = [&] {
    const auto unfinished = session.unfinished();
    return std::all_of(unfinished.begin(), unfinished.end(),
                       [](const BatchProgress& progress) { return progress.prompt_read; });
  };
  auto start = Clock::now();
  int64_t n_steps = 0;
  while (!all_read()) LLMRUN_TRY(session.step());
  estimate.prompt_tokens_per_second =
      static_cast<double>(parallel * n_prompt) / std::max(seconds_since(start), 1e-6);
  start = Clock::now();
  int64_t n_drawn = 0;
  while (!session.unfinished().empty() && (n_steps == 0 || seconds_since(start) < kMostSeconds)) {
    n_drawn += static_cast<int64_t>(session.unfinished().size());
    ++n_steps;
    LLMRUN_TRY(session.step());
  }
  estimate.answer_tokens_per_second =
      static_cast<double>(n_drawn) / std::max(seconds_since(start), 1e-6);
  return {};
}

}  // namespace

Result<std::vector<GroupEstimate>> Job::estimate() const {
  std::vector<GroupEstimate> all;
  const std::vector<GroupTotals> group_totals = totals();
  for (size_t i = 0; i < groups_.size(); ++i) {
    const Group& group = groups_[i];
    GroupEstimate estimate;
    estimate.totals = group_totals[i];
    if (!group.requests.empty()) {
      LLMRUN_ASSIGN(const ContextOptions context, context_for(options_, group));
      LoadOptions load = group.found.load;
      load.context = context;
      LLMRUN_ASSIGN(const Model model, Model::open(group.found.path, load));
      LLMRUN_ASSIGN(BatchSession session, BatchSession::open(model, context));
      estimate.parallel = context.max_sequences;
      estimate.memory = session.memory();
      LLMRUN_TRY(calibrate(session, model.info().vocabulary_size, estimate.parallel, estimate));
      estimate.most_seconds =
          static_cast<double>(group.plan.prompt_tokens - group.plan.shared_tokens) /
              estimate.prompt_tokens_per_second +
          static_cast<double>(group.plan.most_answer_tokens) / estimate.answer_tokens_per_second;
    }
    all.push_back(std::move(estimate));
  }
  return all;
}

}  // namespace llmrun::batch
