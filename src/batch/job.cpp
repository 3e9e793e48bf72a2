// prepare, and the way from groups to the output.
#include "batch/job.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"
#include "batch/embedding_runner.h"
#include "batch/faults.h"
#include "batch/identity.h"
#include "batch/journal.h"
#include "batch/output.h"
#include "batch/parallel.h"
#include "batch/response.h"
#include "batch/text_runner.h"

namespace llmrun::batch {
namespace {

namespace fs = std::filesystem;

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// A chat's text is the answer without the thought; a continued text is all that was written.
Result<std::string> text_of(const Model& model, const Row& row, const Generation& generation) {
  if (row.endpoint == Endpoint::kChat || generation.thinking.empty()) return generation.text;
  LLMRUN_ASSIGN(std::string text, model.detokenize(generation.tokens, false));
  if (generation.stop_reason == StopReason::kStopString) {
    text.resize(std::min(text.size(), text.find(generation.stop_string)));
  }
  return text;
}

}  // namespace

// One run: the journal, and what goes into it.
class Job::Run : public Sink {
 public:
  Run(const Job& job, std::vector<std::string> keys, Journal journal)
      : job_(job),
        keys_(std::move(keys)),
        journal_(std::move(journal)),
        done_(journal_.found().done()),
        order_(journal_.found().done_order()) {
    std::erase_if(done_, [&](const auto& entry) { return entry.first >= keys_.size(); });
    std::erase_if(order_, [&](uint64_t row) { return row >= keys_.size(); });
    status_.rows = job.n_rows();
    status_.rows_before = status_.rows_done = static_cast<int64_t>(done_.size());
  }

  [[nodiscard]] bool is_done(size_t row) const override { return done_.contains(row); }

  [[nodiscard]] std::vector<TokenId> begun(size_t row) const override {
    const auto& parts = journal_.found().parts();
    const auto found = parts.find(row);
    return found == parts.end() ? std::vector<TokenId>() : found->second;
  }

  Result<void> finish(size_t row, const Result<Generation>& generation) override {
    if (!generation) return add_line(row, error_line(head(row), rows()[row], generation.error()));
    LLMRUN_ASSIGN(const std::string text, text_of(*model_, rows()[row], *generation));
    return add_line(row, answer_line(head(row), rows()[row], *generation, text, shared_[row]));
  }
  Result<void> keep_part(size_t row, size_t first, std::span<const TokenId> tokens) override {
    return journal_.add_part(row, first, tokens);
  }
  Result<void> sync(bool now) override { return journal_.sync(now); }

  Result<void> finish_faults() {
    for (size_t row = 0; row < rows().size(); ++row) {
      if (!rows()[row].fault) continue;
      ++status_.rows_failed;
      if (is_done(row)) continue;
      ++status_.rows_done;
      LLMRUN_TRY(add_line(row, error_line(head(row), rows()[row], *rows()[row].fault)));
    }
    return {};
  }

  Result<void> run(const Group& group, const Watch& watch) {
    group_ = &group;
    const auto done = [this](size_t row) { return is_done(row); };
    const bool all_done =
        std::all_of(group.embeddings.begin(), group.embeddings.end(), done) &&
        std::all_of(group.requests.begin(), group.requests.end(),
                    [&](const BatchRequest& request) { return is_done(request.id); });
    if (all_done) return {};
    LLMRUN_ASSIGN(const ContextOptions context, context_for(job_.options_, group));
    LoadOptions load = group.found.load;
    load.context = context;
    LLMRUN_ASSIGN(const Model model, Model::open(group.found.path, load));
    model_ = &model;
    const EmbeddingHooks hooks = {done, [this](size_t row, std::span<const Embedding> vectors) {
                                    return add_line(
                                        row, embedding_line(head(row), rows()[row], vectors));
                                  }};
    LLMRUN_TRY(run_embeddings(model, group, rows(), hooks, status_, watch));
    if (group.requests.empty()) return {};
    for (size_t i = 0; i < group.requests.size(); ++i) {
      shared_[group.requests[i].id] = group.shared_tokens[i];
    }
    LLMRUN_ASSIGN(BatchSession session, BatchSession::open(model, context));
    return TextRunner(group, session, context.max_sequences, *this, status_).run(watch);
  }

  Result<void> publish() {
    LLMRUN_TRY(journal_.sync(true));
    const std::string& path = job_.options_.output;
    if (job_.writes_folder()) {
      LLMRUN_TRY(publish_folder(path, journal_, done_, rows()));
    } else {
      if (!job_.options_.unordered) std::sort(order_.begin(), order_.end());
      LLMRUN_TRY(publish_lines(path, journal_, done_, order_));
    }
    return journal_.remove();
  }

  [[nodiscard]] const Status& status() const { return status_; }

 private:
  [[nodiscard]] std::span<const Row> rows() const { return job_.input_.rows; }
  [[nodiscard]] LineHead head(size_t row) const {
    return {keys_[row], group_ == nullptr ? std::string() : group_->model};
  }
  Result<void> add_line(size_t row, const std::string& line) {
    LLMRUN_TRY(journal_.add_done(row, line));
    done_[row] = journal_.last_line();
    order_.push_back(row);
    return {};
  }

  const Job& job_;
  std::vector<std::string> keys_;  // of every row
  Journal journal_;
  DoneLines done_;
  std::vector<uint64_t> order_;  // rows as they were finished
  Status status_;
  const Group* group_ = nullptr;
  const Model* model_ = nullptr;
  std::unordered_map<size_t, int64_t> shared_;
};

Result<Job> Job::prepare(Options options) {
  options.output = without_slash(options.output);
  LLMRUN_ASSIGN(Input input, read_input(options.input, options.prompts));
  LLMRUN_ASSIGN(std::vector<Group> groups, make_groups(options, input.rows));
  if (!options.keep_going) {
    LLMRUN_TRY(report_faults(input.rows, input.form == InputForm::kFolder));
  }
  return Job(std::move(options), std::move(input), std::move(groups));
}

int64_t Job::n_faults() const {
  return std::count_if(input_.rows.begin(), input_.rows.end(),
                       [](const Row& row) { return row.fault.has_value(); });
}

std::vector<GroupTotals> Job::totals() const {
  std::vector<GroupTotals> all;
  for (const Group& group : groups_) {
    GroupTotals totals;
    totals.model = group.model;
    totals.rows = static_cast<int64_t>(group.requests.size() + group.embeddings.size());
    totals.prompt_tokens = group.plan.prompt_tokens + group.embedding_tokens;
    totals.shared_tokens = group.plan.shared_tokens;
    totals.most_answer_tokens = group.plan.most_answer_tokens;
    totals.context_tokens = group.context_tokens;
    all.push_back(std::move(totals));
  }
  return all;
}

std::string Job::journal_path(const std::string& output) {
  return without_slash(output) + ".journal";
}

bool Job::writes_folder() const {
  return input_.form == InputForm::kFolder && !options_.output.ends_with(".jsonl");
}

Result<std::vector<std::string>> Job::keys(const std::string& job_hash) const {
  std::vector<std::string> all;
  all.reserve(input_.rows.size());
  for (const Row& row : input_.rows) {
    LLMRUN_ASSIGN(all.emplace_back(), line_key(job_hash, row.line));
  }
  return all;
}

// True when the output is there and is that of this very batch. Another one is not written over.
Result<bool> Job::look_at_output(const std::string& job_hash) const {
  std::error_code error;
  const std::string& path = options_.output;
  if (writes_folder()) {
    fs::create_directories(path, error);
    if (error) {
      return make_error(ErrorCode::kIo, "cannot create the folder '{}': {}", path, error.message());
    }
    for (const Row& row : input_.rows) {
      const std::string file = (fs::path(path) / (row.custom_id + ".txt")).string();
      if (options_.restart || !fs::exists(file, error)) continue;
      return make_error(ErrorCode::kUsage,
                        "'{}' is there already: choose another folder, or give --restart to write "
                        "over it",
                        file);
    }
    return false;
  }
  if (fs::is_directory(path, error)) {
    return make_error(ErrorCode::kUsage, "the output '{}' is a folder; name a file", path);
  }
  if (options_.restart || !fs::exists(path, error)) return false;
  LLMRUN_ASSIGN(const auto wanted, keys(job_hash));
  if (is_complete_output(path, wanted)) return true;
  return make_error(ErrorCode::kUsage,
                    "'{}' is there already, and it is the output of something else: choose another "
                    "output, or give --restart to write over it",
                    path);
}

Result<Outcome> Job::run(const Watch& watch) {
  LLMRUN_ASSIGN(const std::string job, job_text(options_, input_, groups_));
  LLMRUN_ASSIGN(const std::string job_hash, sha256_hex(std::as_bytes(std::span(job))));
  const std::string path = journal_path(options_.output);
  std::error_code error;
  if (!fs::exists(path, error)) {
    LLMRUN_ASSIGN(const bool is_complete, look_at_output(job_hash));
    if (is_complete) {
      Outcome outcome;
      outcome.was_complete = true;
      outcome.status.rows = outcome.status.rows_done = outcome.status.rows_before = n_rows();
      return outcome;
    }
  }
  LLMRUN_ASSIGN(Journal journal, Journal::open(path, options_.restart));
  if (journal.found().job().empty()) {
    LLMRUN_TRY(journal.begin(job));
  } else if (journal.found().job() != job) {
    return make_error(ErrorCode::kUsage,
                      "'{}' is of a batch that was begun with another: {}. Go on with what it was "
                      "begun with, or give --restart to begin anew.",
                      path, job_difference(journal.found().job(), job));
  }
  LLMRUN_ASSIGN(std::vector<std::string> all_keys, keys(job_hash));
  Run run(*this, std::move(all_keys), std::move(journal));
  LLMRUN_TRY(run.finish_faults());
  for (const Group& group : groups_) LLMRUN_TRY(run.run(group, watch));
  LLMRUN_TRY(run.publish());
  return Outcome{run.status(), false};
}

}  // namespace llmrun::batch
