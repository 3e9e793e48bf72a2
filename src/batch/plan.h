// The order in which the rows of one model are run: rows that begin alike are neighbours, so that
// what they share is computed once, and the long ones come first, so that none of them is left to
// run alone at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "llmrun/message.h"

namespace llmrun::batch {

struct PlanItem {
  std::span<const TokenId> prompt;
  int64_t most_answer_tokens = 0;
};

struct PlacedRow {
  size_t row = 0;                // index among the items
  int64_t shared_tokens = 0;     // of its prompt, that a row before it has, too; not its last token
  std::optional<size_t> leader;  // the place (in the order) of that row
};

struct Plan {
  std::vector<PlacedRow> order;
  int64_t prompt_tokens = 0;
  int64_t shared_tokens = 0;  // of these, computed for an earlier row already
  int64_t most_answer_tokens = 0;
};

// A function of the items alone. Rows count as alike from kAlike tokens on: a page of the cache.
inline constexpr int64_t kAlike = 64;
Plan make_plan(std::span<const PlanItem> items);

}  // namespace llmrun::batch
