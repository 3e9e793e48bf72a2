// How the next token is drawn. Vocabulary: any layer may include this header.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llmrun/message.h"

namespace llmrun {

// All stages are off at the value in the comment. The stages run in this order: logit bias,
// penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, then one draw;
// mirostat v2 takes the place of everything from top-n-sigma on except temperature.
struct SamplingOptions {
  float temperature = 0.8F;          // 0: greedy, the most probable token, lowest id on a tie
  float dynamic_temperature = 0.0F;  // 0: off; range d: temperature in [t-d, t+d] by entropy
  float dynamic_temperature_exponent = 1.0F;
  int32_t top_k = 40;              // 0: off
  float top_p = 0.9F;              // 1: off
  float min_p = 0.0F;              // 0: off
  float typical_p = 1.0F;          // 1: off
  float top_n_sigma = 0.0F;        // 0: off
  float xtc_probability = 0.0F;    // 0: off
  float xtc_threshold = 0.1F;      // > 0.5: off
  float repeat_penalty = 1.0F;     // 1: off
  float frequency_penalty = 0.0F;  // 0: off
  float presence_penalty = 0.0F;   // 0: off
  int32_t penalty_window = 64;     // last tokens looked at by the penalties; -1: all of them
  float dry_multiplier = 0.0F;     // 0: off
  float dry_base = 1.75F;
  int32_t dry_allowed_length = 2;
  int32_t dry_window = -1;  // last tokens looked at; -1: all of them
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};
  int32_t mirostat = 0;  // 0: off, 2: version 2
  float mirostat_tau = 5.0F;
  float mirostat_eta = 0.1F;
  std::vector<std::pair<TokenId, float>> logit_bias;  // added to the raw logits
  std::optional<uint64_t> seed;                       // none: a random one, told in the result
};

}  // namespace llmrun
