// `llmrun estimate MODEL`: the exact plan of a model on this machine, or of one that a server
// offers, from its header alone.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/units.h"
#include "cli/fetch_flags.h"
#include "cli/text_layout.h"
#include "llmrun/error.h"
#include "llmrun/model.h"

namespace llmrun::cli {

struct PlanRequest {
  std::string model;
  ContextOptions context;
  std::optional<uint64_t> fits;  // memory to hold it against; else what is free on this machine
  bool all_quants = false;       // a table of every quantisation that the repository has
  bool json = false;
  FetchFlags fetch;
};

Result<void> report_memory_plan(const PlanRequest& request);

// The parts of a plan (a MemoryEstimate or one of a card) and their sum, as `estimate` prints them.
template <typename Plan>
std::string memory_table(const std::string& title, const Plan& plan, int64_t context_tokens,
                         int64_t max_sequences) {
  TextTable table;
  table.add_column(title);
  table.add_column("memory", Align::kRight);
  table.add_column("detail");
  for (const MemoryItem& item : plan.items) {
    table.add_row({item.component, format_bytes(item.bytes), item.detail});
  }
  table.add_row({"total", format_bytes(plan.total_bytes),
                 fmt::format("{} bytes, {} tokens of context, {} at a time", plan.total_bytes,
                             context_tokens, max_sequences)});
  return table.text();
}

}  // namespace llmrun::cli
