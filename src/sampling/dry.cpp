// DRY ("don't repeat yourself", p-e-w, 2024): a token that would continue a sequence that stood in
// the text before is made less likely by multiplier * base^(length - allowed_length), where length
// is how many tokens before it already agree. A sequence ends at a breaker string.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "sampling/stage.h"

namespace llmrun::sampling {
namespace {

// Longer repetitions count as this long; the penalty is far beyond every logit by then.
constexpr size_t kMaxMatch = 128;

bool is_active(const SamplingOptions& options) {
  return options.dry_multiplier > 0.0F && options.dry_window != 0;
}

// So many tokens at the end of `tokens` lie wholly behind the last breaker (at most kMaxMatch).
size_t tokens_since_breaker(std::span<const TokenId> tokens, const SamplingOptions& options,
                            const TokenText& token_text) {
  const size_t limit = std::min(tokens.size(), kMaxMatch);
  if (!token_text || options.dry_breakers.empty()) return limit;
  size_t longest = 0;
  for (const std::string& breaker : options.dry_breakers)
    longest = std::max(longest, breaker.size());
  std::string head;                             // the first bytes of the text walked so far
  size_t total = 0;                             // bytes walked so far
  std::array<size_t, kMaxMatch> bytes_of_last;  // [n]: bytes of the last n + 1 tokens
  for (size_t n = 0; n < limit; ++n) {
    const std::string text = token_text(tokens[tokens.size() - 1 - n]);
    total += text.size();
    bytes_of_last[n] = total;
    head.insert(0, text);
    size_t behind = std::string::npos;  // bytes behind the last breaker
    for (const std::string& breaker : options.dry_breakers) {
      const size_t at = breaker.empty() ? std::string::npos : head.rfind(breaker);
      if (at != std::string::npos) behind = std::min(behind, total - (at + breaker.size()));
    }
    if (behind != std::string::npos) {
      size_t whole = 0;
      while (whole < n && bytes_of_last[whole] <= behind) ++whole;
      return whole;
    }
    if (head.size() > longest) head.resize(longest);
  }
  return limit;
}

// How many tokens ending at a and ending at b (a < b, both included) agree, at most `limit`.
size_t common_suffix(std::span<const TokenId> tokens, size_t a, size_t b, size_t limit) {
  size_t n = 0;
  while (n < limit && n <= a && tokens[a - n] == tokens[b - n]) ++n;
  return n;
}

void apply(Step& step, Candidates& candidates) {
  const SamplingOptions& options = step.options;
  const auto tokens = last_tokens(step.history, options.dry_window);
  const auto allowed = static_cast<size_t>(options.dry_allowed_length);
  if (tokens.size() < 2) return;
  const size_t limit = tokens_since_breaker(tokens, options, step.token_text);
  if (limit == 0 || limit < allowed) return;

  // counts[t]: the longest match that token t would continue.
  const size_t last = tokens.size() - 1;
  for (size_t i = 0; i < last; ++i) {
    if (tokens[i] != tokens[last]) continue;
    const TokenId next = tokens[i + 1];
    if (!candidates.has(next)) continue;
    const auto length = static_cast<int32_t>(common_suffix(tokens, i, last, limit));
    int32_t& longest = step.counts[static_cast<size_t>(next)];
    longest = std::max(longest, length);
  }
  for (size_t i = 0; i < last; ++i) {
    if (tokens[i] != tokens[last]) continue;
    const TokenId next = tokens[i + 1];
    if (!candidates.has(next)) continue;
    const auto length =
        static_cast<size_t>(std::exchange(step.counts[static_cast<size_t>(next)], 0));
    if (length == 0 || length < allowed) continue;
    const double penalty =
        static_cast<double>(options.dry_multiplier) *
        std::pow(static_cast<double>(options.dry_base), static_cast<double>(length - allowed));
    constexpr double kMost = std::numeric_limits<float>::max() / 4;
    candidates.change(next,
                      candidates.logit_of(next) - static_cast<float>(std::min(penalty, kMost)));
  }
}

void add_touched(const SamplingOptions& options, std::span<const TokenId> history,
                 std::vector<Touched>& tokens) {
  const auto window = last_tokens(history, options.dry_window);
  for (size_t i = 0; i + 1 < window.size(); ++i) {
    if (window[i] == window.back()) tokens.push_back({window[i + 1]});
  }
}

}  // namespace

const Stage kStage_dry = {"dry", Phase::kLogits, is_active, apply, nullptr, add_touched};

}  // namespace llmrun::sampling
