// "3 of 64 lines cannot be run:" and a line for each.
#include "batch/faults.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::batch {

Result<void> report_faults(std::span<const Row> rows, bool is_folder) {
  constexpr int64_t kMostShown = 50;
  int64_t n_faults = 0;
  std::string list;
  for (const Row& row : rows) {
    if (!row.fault || ++n_faults > kMostShown) continue;
    list +=
        is_folder ? fmt::format("\n  {}.txt", row.custom_id) : fmt::format("\n  line {}", row.line);
    if (!is_folder && !row.custom_id.empty()) list += fmt::format(" ({})", row.custom_id);
    const std::string& where = row.fault->context;
    list += fmt::format(": {}{}{}", where, where.empty() ? "" : ": ", row.fault->message);
  }
  if (n_faults == 0) return {};
  if (n_faults > kMostShown) list += fmt::format("\n  … and {} more", n_faults - kMostShown);
  return make_error(ErrorCode::kUsage,
                    "{} of {} requests cannot be run; nothing was started:{}\nCorrect them, or "
                    "give --keep-going to have an error line for each.",
                    n_faults, rows.size(), list);
}

}  // namespace llmrun::batch
