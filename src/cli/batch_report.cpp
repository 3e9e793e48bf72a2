// The estimate of a batch as a table or as JSON.
#include "cli/batch_report.h"

#include "base/error.h"
#include "base/units.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

Json as_json(const batch::GroupEstimate& estimate) {
  const batch::GroupTotals& totals = estimate.totals;
  return {{"model", totals.model},
          {"rows", totals.rows},
          {"prompt_tokens", totals.prompt_tokens},
          {"shared_tokens", totals.shared_tokens},
          {"max_answer_tokens", totals.most_answer_tokens},
          {"context_tokens", totals.context_tokens},
          {"parallel", estimate.parallel},
          {"memory_bytes", estimate.memory.total_bytes},
          {"available_bytes", estimate.memory.available_bytes},
          {"prompt_tokens_per_second", estimate.prompt_tokens_per_second},
          {"answer_tokens_per_second", estimate.answer_tokens_per_second},
          {"max_seconds", estimate.most_seconds}};
}

void print_text(const batch::GroupEstimate& estimate) {
  const batch::GroupTotals& totals = estimate.totals;
  TextTable table;
  table.add_column("batch", Align::kLeft);
  table.add_column("", Align::kRight);
  table.add_column("", Align::kLeft);
  table.add_row({"rows", fmt::format("{}", totals.rows),
                 estimate.parallel > 0 ? fmt::format("{} at a time", estimate.parallel) : ""});
  table.add_row({"prompt tokens", fmt::format("{}", totals.prompt_tokens), ""});
  table.add_row({"of these shared", fmt::format("{}", totals.shared_tokens),
                 "with a row before: computed once"});
  table.add_row({"answer tokens", fmt::format("{}", totals.most_answer_tokens), "at most"});
  if (estimate.parallel > 0) {
    table.add_row({"memory", format_bytes(estimate.memory.total_bytes),
                   fmt::format("with the weights; {} are free",
                               format_bytes(estimate.memory.available_bytes))});
    table.add_row({"reading", fmt::format("{:.1f} tok/s", estimate.prompt_tokens_per_second),
                   "measured now"});
    table.add_row({"writing", fmt::format("{:.1f} tok/s", estimate.answer_tokens_per_second),
                   fmt::format("measured now, {} rows at a time", estimate.parallel)});
    table.add_row({"time", format_duration(estimate.most_seconds), "at most"});
  }
  print("{}\n{}", totals.model, table.text());
}

}  // namespace

Result<void> print_batch_estimate(const batch::Job& job, bool json) {
  LLMRUN_ASSIGN(const auto estimates, job.estimate());
  if (json) {
    Json out = {{"rows", job.n_rows()}, {"bad_rows", job.n_faults()}, {"models", Json::array()}};
    double seconds = 0;
    for (const batch::GroupEstimate& estimate : estimates) {
      out["models"].push_back(as_json(estimate));
      seconds += estimate.most_seconds;
    }
    out["max_seconds"] = seconds;
    print_json_text(to_text(out, 2), to_text(out));
    return {};
  }
  for (size_t i = 0; i < estimates.size(); ++i) {
    if (i > 0) print("\n");
    print_text(estimates[i]);
  }
  if (job.n_faults() > 0) print("{} rows cannot be run and become error lines\n", job.n_faults());
  return {};
}

}  // namespace llmrun::cli
