// Start, step, finish, keep.
#include "batch/text_runner.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace llmrun::batch {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kKeepEvery = std::chrono::seconds(1);

}  // namespace

TextRunner::TextRunner(const Group& group, BatchSession& session, int64_t parallel, Sink& sink,
                       Status& status)
    : group_(group),
      session_(session),
      parallel_(parallel),
      sink_(sink),
      status_(status),
      last_kept_(Clock::now()) {
  plan_rest();
}

// Rows that an earlier run finished are not in this session's cache: what is left has its own
// leaders.
void TextRunner::plan_rest() {
  std::vector<PlanItem> items;
  for (size_t i = 0; i < group_.requests.size(); ++i) {
    const BatchRequest& request = group_.requests[i];
    if (sink_.is_done(request.id)) continue;
    const int64_t most = request.options.max_tokens;
    items.push_back({request.prompt, most < 0 ? group_.context_tokens : most});
    rest_.push_back(i);
  }
  plan_ = make_plan(items);
  stages_.assign(plan_.order.size(), Stage::kWaiting);
  for (size_t place = 0; place < plan_.order.size(); ++place) waiting_.push_back(place);
}

// The first rows in the order whose leader's prompt has been read, so that what they share with it
// is in the cache.
Result<void> TextRunner::start_more() {
  size_t i = 0;
  while (i < waiting_.size() && static_cast<int64_t>(running_.size()) < parallel_) {
    const size_t place = waiting_[i];
    const auto& leader = plan_.order[place].leader;
    if (leader && stages_[*leader] != Stage::kRead) {
      ++i;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
    LLMRUN_TRY(start(place));
  }
  return {};
}

Result<bool> TextRunner::start(size_t place) {
  BatchRequest request = group_.requests[rest_[plan_.order[place].row]];
  request.begun = sink_.begun(request.id);
  const uint64_t row = request.id;
  const size_t n_begun = request.begun.size();
  if (const auto submitted = session_.submit(std::move(request)); !submitted) {
    stages_[place] = Stage::kRead;  // nobody waits for it
    ++status_.rows_failed;
    ++status_.rows_done;
    LLMRUN_TRY(sink_.finish(row, tl::unexpected<Error>(submitted.error())));
    return false;
  }
  stages_[place] = Stage::kReading;
  running_.push_back({row, {place, n_begun, n_begun, n_begun}});
  return true;
}

Result<void> TextRunner::finish_some() {
  for (BatchAnswer& answer : session_.take_finished()) {
    const auto found = std::find_if(running_.begin(), running_.end(),
                                    [&](const auto& entry) { return entry.first == answer.id; });
    if (found == running_.end()) continue;
    stages_[found->second.place] = Stage::kRead;
    ++status_.rows_done;
    if (answer.generation) {
      const Generation& generation = *answer.generation;
      status_.prompt_tokens += generation.usage.prompt;
      status_.cached_tokens += generation.usage.cached;
      status_.answer_tokens += static_cast<int64_t>(generation.tokens.size()) -
                               static_cast<int64_t>(found->second.n_seen);
    } else {
      ++status_.rows_failed;
    }
    running_.erase(found);
    LLMRUN_TRY(sink_.finish(answer.id, answer.generation));
  }
  return {};
}

void TextRunner::look_at_running() {
  const auto unfinished = session_.unfinished();
  for (size_t i = 0; i < std::min(unfinished.size(), running_.size()); ++i) {
    auto& [row, running] = running_[i];  // both are in the order of submission
    if (unfinished[i].prompt_read) stages_[running.place] = Stage::kRead;
    status_.answer_tokens += static_cast<int64_t>(unfinished[i].answer.size() - running.n_seen);
    running.n_seen = unfinished[i].answer.size();
  }
  status_.rows_running = static_cast<int64_t>(running_.size());
}

Result<void> TextRunner::keep_parts() {
  last_kept_ = Clock::now();
  const auto unfinished = session_.unfinished();
  for (size_t i = 0; i < std::min(unfinished.size(), running_.size()); ++i) {
    auto& [row, running] = running_[i];
    const auto tokens = unfinished[i].answer.subspan(running.n_kept);
    if (tokens.empty()) continue;
    LLMRUN_TRY(sink_.keep_part(row, running.n_kept, tokens));
    running.n_kept += tokens.size();
  }
  return {};
}

Result<void> TextRunner::run(const Watch& watch) {
  const auto start = Clock::now();
  const double seconds_before = status_.seconds;
  while (true) {
    LLMRUN_TRY(start_more());
    if (const auto more = session_.step(); !more) return tl::unexpected<Error>(more.error());
    ++status_.steps;
    LLMRUN_TRY(finish_some());
    look_at_running();
    if (Clock::now() - last_kept_ >= kKeepEvery) LLMRUN_TRY(keep_parts());
    LLMRUN_TRY(sink_.sync(false));
    status_.seconds = seconds_before + std::chrono::duration<double>(Clock::now() - start).count();
    if (!watch(status_)) {
      LLMRUN_TRY(keep_parts());
      LLMRUN_TRY(sink_.sync(true));
      return make_error(ErrorCode::kInterrupted, "interrupted");
    }
    if (running_.empty() && waiting_.empty()) return {};
  }
}

}  // namespace llmrun::batch
