// The range of every sampling option.
#include "sampling/options.h"

#include <limits>

#include "base/error.h"

namespace llmrun::sampling {
namespace {

struct FloatRange {
  const char* name;
  float SamplingOptions::*value;
  float low, high;
};
struct IntRange {
  const char* name;
  int32_t SamplingOptions::*value;
  int32_t low, high;
};

constexpr int32_t kMaxInt = std::numeric_limits<int32_t>::max();

constexpr FloatRange kFloatRanges[] = {
    {"temperature", &SamplingOptions::temperature, 0.0F, 100.0F},
    {"dynamic_temperature", &SamplingOptions::dynamic_temperature, 0.0F, 100.0F},
    {"dynamic_temperature_exponent", &SamplingOptions::dynamic_temperature_exponent, 0.0F, 100.0F},
    {"top_p", &SamplingOptions::top_p, 0.0F, 1.0F},
    {"min_p", &SamplingOptions::min_p, 0.0F, 1.0F},
    {"typical_p", &SamplingOptions::typical_p, 0.0F, 1.0F},
    {"top_n_sigma", &SamplingOptions::top_n_sigma, 0.0F, 1000.0F},
    {"xtc_probability", &SamplingOptions::xtc_probability, 0.0F, 1.0F},
    {"xtc_threshold", &SamplingOptions::xtc_threshold, 0.0F, 1.0F},
    {"repeat_penalty", &SamplingOptions::repeat_penalty, 0.01F, 100.0F},
    {"frequency_penalty", &SamplingOptions::frequency_penalty, -100.0F, 100.0F},
    {"presence_penalty", &SamplingOptions::presence_penalty, -100.0F, 100.0F},
    {"dry_multiplier", &SamplingOptions::dry_multiplier, 0.0F, 1000.0F},
    {"dry_base", &SamplingOptions::dry_base, 1.0F, 1000.0F},
    {"mirostat_tau", &SamplingOptions::mirostat_tau, 0.0F, 100.0F},
    {"mirostat_eta", &SamplingOptions::mirostat_eta, 0.0F, 1.0F},
};

constexpr IntRange kIntRanges[] = {
    {"top_k", &SamplingOptions::top_k, 0, kMaxInt},
    {"penalty_window", &SamplingOptions::penalty_window, -1, kMaxInt},
    {"dry_allowed_length", &SamplingOptions::dry_allowed_length, 0, kMaxInt},
    {"dry_window", &SamplingOptions::dry_window, -1, kMaxInt},
};

}  // namespace

Result<void> validate(const SamplingOptions& options) {
  for (const FloatRange& range : kFloatRanges) {
    const float value = options.*range.value;
    if (value >= range.low && value <= range.high) continue;
    return make_error(ErrorCode::kUsage,
                      "The sampling option {} is {}, which is not between {} and {}. Give it a "
                      "value in that range.",
                      range.name, value, range.low, range.high);
  }
  for (const IntRange& range : kIntRanges) {
    const int32_t value = options.*range.value;
    if (value >= range.low && value <= range.high) continue;
    return make_error(ErrorCode::kUsage,
                      "The sampling option {} is {}, which is below {}. Give it {} or more.",
                      range.name, value, range.low, range.low);
  }
  if (options.mirostat != 0 && options.mirostat != 2) {
    return make_error(ErrorCode::kUsage,
                      "The sampling option mirostat is {}; it can be 0 (off) or 2 (version 2).",
                      options.mirostat);
  }
  for (const auto& [id, bias] : options.logit_bias) {
    constexpr float kMostBias = 1e6F;  // far beyond any logit, far below overflow
    if (id >= 0 && bias <= kMostBias) continue;
    return make_error(ErrorCode::kUsage,
                      "The sampling option logit_bias adds {} to token {}. The token must be 0 or "
                      "more and the bias at most 1000000; -inf forbids the token.",
                      bias, id);
  }
  return {};
}

}  // namespace llmrun::sampling
