// One stage of the sampling chain. Each lives in the file that samplers.def names.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/message.h"
#include "llmrun/sampling_options.h"
#include "sampling/candidates.h"

namespace llmrun::sampling {

// The text of a token, for stages that look at text (DRY's breakers).
using TokenText = std::function<std::string(TokenId)>;

// What a stage may look at and change besides the candidates.
struct Step {
  const SamplingOptions& options;
  std::span<const TokenId> history;  // prompt and answer so far
  uint64_t seed = 0;
  uint64_t number = 0;           // how many tokens this chain has drawn before
  const TokenText& token_text;   // may be empty
  std::vector<int32_t>& counts;  // [n_vocab], zero between stages
  float& mirostat_mu;            // carried from token to token
  TokenId chosen = -1;           // set by the stage that draws
};

// When a stage is part of the chain.
enum class Phase : uint8_t {
  kLogits,       // always: changes logits, keeps all candidates
  kTruncate,     // not when greedy, not under mirostat
  kTemperature,  // not when greedy
  kDraw,         // one of them is active, at the end; not when greedy
};

// A token whose logit a stage looks at or changes, and what changes it.
struct Touched {
  TokenId id = 0;
  int32_t count = 0;  // how often the penalties count it
  float bias = 0.0F;
};

struct Stage {
  std::string_view name;
  Phase phase;
  bool (*is_active)(const SamplingOptions& options);
  void (*apply)(Step& step, Candidates& candidates);
  // Whether devices draw as this stage says (kernels/draw.h), which then keep to its order of
  // operations; null: they do not know it.
  bool (*is_plain)(const SamplingOptions& options) = nullptr;
  // What a chain must know so that it need not see all logits (Chain::needs()); null: it must.
  // Of a stage of kLogits: adds the tokens whose logits it may look at or change.
  void (*add_touched)(const SamplingOptions& options, std::span<const TokenId> history,
                      std::vector<Touched>& tokens) = nullptr;
  // Of the first stage after those: the best tokens that it looks at, in any candidates.
  size_t (*n_best)(const SamplingOptions& options) = nullptr;
};

inline bool is_plain_always(const SamplingOptions& /*options*/) { return true; }

#define LLMRUN_SAMPLER(stem) extern const Stage kStage_##stem;
#include "sampling/samplers.def"  // IWYU pragma: keep
#undef LLMRUN_SAMPLER

// The position where the running sum of the probabilities first exceeds u in [0, 1).
size_t draw_index(std::span<const double> probability, double u);

// The last `window` tokens of the history (-1: all of it).
inline std::span<const TokenId> last_tokens(std::span<const TokenId> history, int32_t window) {
  if (window < 0 || static_cast<size_t>(window) >= history.size()) return history;
  return history.last(static_cast<size_t>(window));
}

}  // namespace llmrun::sampling
