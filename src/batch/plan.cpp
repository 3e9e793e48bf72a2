// Sorts the prompts as words in a dictionary, cuts the list into families, and orders these.
#include "batch/plan.h"

#include <algorithm>
#include <compare>
#include <iterator>
#include <numeric>
#include <set>

namespace llmrun::batch {
namespace {

using Prompt = std::span<const TokenId>;

int64_t common_prefix(Prompt a, Prompt b) {
  const size_t n = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first -
         a.begin();
}

// What a row costs at most beside what it shares: prompts are read many tokens at a time, answers
// take a step for each.
int64_t length_of(const PlanItem& item) {
  constexpr int64_t kPromptTokensPerStep = 16;
  return item.most_answer_tokens + static_cast<int64_t>(item.prompt.size()) / kPromptTokensPerStep;
}

struct Family {
  std::vector<size_t> rows;  // in dictionary order
  int64_t longest = 0;       // length_of() its longest row
  int64_t shared_by_all = 0;
  int64_t shared = 0;  // tokens that neighbours share, over all pairs of neighbours
};

std::vector<Family> families_of(std::span<const PlanItem> items) {
  std::vector<size_t> sorted(items.size());
  std::iota(sorted.begin(), sorted.end(), size_t{0});
  std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) {
    const Prompt x = items[a].prompt;
    const Prompt y = items[b].prompt;
    const auto order =
        std::lexicographical_compare_three_way(x.begin(), x.end(), y.begin(), y.end());
    return std::is_neq(order) ? std::is_lt(order) : a < b;
  });
  std::vector<Family> families;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const PlanItem& item = items[sorted[i]];
    const int64_t common = i == 0 ? 0 : common_prefix(items[sorted[i - 1]].prompt, item.prompt);
    if (families.empty() || common < kAlike) {
      families.emplace_back().shared_by_all = static_cast<int64_t>(item.prompt.size());
    } else {
      families.back().shared += common;
      families.back().shared_by_all = std::min(families.back().shared_by_all, common);
    }
    families.back().rows.push_back(sorted[i]);
    families.back().longest = std::max(families.back().longest, length_of(item));
  }
  return families;
}

// When nearly all that is shared is shared by all, the order inside a family is free.
void put_long_rows_first(std::span<const PlanItem> items, Family& family) {
  const auto n_others = static_cast<int64_t>(family.rows.size()) - 1;
  if (family.shared_by_all * n_others * 20 < family.shared * 19) return;
  std::stable_sort(family.rows.begin(), family.rows.end(),
                   [&](size_t a, size_t b) { return length_of(items[a]) > length_of(items[b]); });
}

// Finds for each place the earlier row that it shares most with: among all earlier ones, in
// dictionary order, that is one of its two neighbours.
void find_leaders(std::span<const PlanItem> items, Plan& plan) {
  const auto before = [&](size_t a, size_t b) {  // places
    const Prompt x = items[plan.order[a].row].prompt;
    const Prompt y = items[plan.order[b].row].prompt;
    const auto order =
        std::lexicographical_compare_three_way(x.begin(), x.end(), y.begin(), y.end());
    return std::is_neq(order) ? std::is_lt(order) : a < b;
  };
  std::set<size_t, decltype(before)> earlier(before);
  for (size_t place = 0; place < plan.order.size(); ++place) {
    PlacedRow& placed = plan.order[place];
    const Prompt prompt = items[placed.row].prompt;
    const auto here = earlier.insert(place).first;
    const auto look_at = [&](size_t neighbour) {
      // The last token is run in any case: it gives the first logits.
      const int64_t common =
          std::min(common_prefix(prompt, items[plan.order[neighbour].row].prompt),
                   static_cast<int64_t>(prompt.size()) - 1);
      if (common < kAlike || common <= placed.shared_tokens) return;
      placed.shared_tokens = common;
      placed.leader = neighbour;
    };
    if (here != earlier.begin()) look_at(*std::prev(here));
    if (std::next(here) != earlier.end()) look_at(*std::next(here));
  }
}

}  // namespace

Plan make_plan(std::span<const PlanItem> items) {
  std::vector<Family> families = families_of(items);
  std::stable_sort(families.begin(), families.end(),
                   [](const Family& a, const Family& b) { return a.longest > b.longest; });
  Plan plan;
  for (Family& family : families) {
    put_long_rows_first(items, family);
    for (const size_t row : family.rows) plan.order.push_back({row, 0, std::nullopt});
  }
  find_leaders(items, plan);
  for (const PlacedRow& placed : plan.order) {
    plan.prompt_tokens += static_cast<int64_t>(items[placed.row].prompt.size());
    plan.shared_tokens += placed.shared_tokens;
    plan.most_answer_tokens += items[placed.row].most_answer_tokens;
  }
  return plan;
}

}  // namespace llmrun::batch
