// Reads ropes, learned positions and sliding windows from the metadata.
#include "models/common/positions.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmrun::models {

using runtime::Rope;
using runtime::RopeScaling;

namespace {

// YaRN's magnitude of cos and sin; a log multiplier moves part of it into the scores.
double yarn_magnitude(double factor, double log_multiplier) {
  if (factor <= 1.0) return 1.0;
  const double whole = 0.1 * std::log(factor) + 1.0;
  return log_multiplier == 0.0 ? whole : whole / (0.1 * log_multiplier * std::log(factor) + 1.0);
}

void read_scaling(ModelMetadata& m, const RopeOptions& options, Rope& rope) {
  const std::string type = m.text("rope.scaling.type", "linear");
  float factor = m.number("rope.scaling.factor", 0.0F);
  if (factor == 0.0F) factor = m.number("rope.scale_linear", 0.0F);
  rope.magnitude = m.number("rope.scaling.attn_factor", 1.0F);
  if (type == "none") return;
  if (factor < 0.0F) m.fail(ErrorCode::kBadModel, "rope.scaling.factor is negative");
  if (factor > 0.0F) {
    rope.factor = static_cast<double>(factor);
    rope.scaling = RopeScaling::kLinear;
  }
  if (type != "yarn") return;
  rope.scaling = RopeScaling::kYarn;
  double log_multiplier = 0.0;
  if (options.yarn_beta_keys) {
    rope.beta_fast =
        static_cast<double>(m.number("rope.scaling.yarn_beta_fast", options.yarn_beta_fast));
    rope.beta_slow = static_cast<double>(m.number("rope.scaling.yarn_beta_slow", 1.0F));
    log_multiplier = static_cast<double>(m.number("rope.scaling.yarn_log_multiplier", 0.0F));
  }
  rope.magnitude *= static_cast<float>(yarn_magnitude(rope.factor, log_multiplier));
}

void read_sections(ModelMetadata& m, Rope& rope) {
  const auto sections = m.integers("rope.dimension_sections", {0, runtime::kMaxHeadDim});
  for (size_t i = 0; i < std::min(sections.size(), rope.sections.size()); ++i) {
    rope.sections[i] = sections[i];
  }
}

}  // namespace

Rope rope(ModelMetadata& m, const RopeOptions& options) {
  Rope rope;
  rope.split_halves = options.split_halves;
  rope.n_dims = options.n_dims >= 0 ? options.n_dims : m.rope_dims();
  rope.base =
      options.base > 0.0 ? options.base : static_cast<double>(m.number("rope.freq_base", 10000.0F));
  rope.original_context = m.integer("rope.scaling.original_context_length", m.context_length(),
                                    {0, runtime::kMaxContext});
  if (options.scaled) {
    read_scaling(m, options, rope);
  } else if (options.keep_magnitude) {
    rope.magnitude = m.number("rope.scaling.attn_factor", 1.0F);
  }
  const int64_t n_pairs = rope.n_dims / 2;
  const auto factor_tensor = [&](const char* name) {
    return tensor(name, {n_pairs}, Presence::kOptional);
  };
  const bool by_type = options.factors == Factors::kByScalingType;
  if (options.factors == Factors::kRopeFreqs || by_type) {
    rope.factors = factor_tensor("rope_freqs.weight");
  }
  if (options.factors == Factors::kLongShort ||
      (by_type && m.text("rope.scaling.type", "linear") == "longrope")) {
    rope.factors_long = factor_tensor("rope_factors_long.weight");
    rope.factors_short = factor_tensor("rope_factors_short.weight");
  }
  rope.section_kind = options.sections;
  if (options.sections != runtime::RopeSections::kNone) read_sections(m, rope);
  return rope;
}

int add_rope(ModelSpec& spec, Rope rope) {
  spec.ropes.push_back(std::move(rope));
  return static_cast<int>(spec.ropes.size()) - 1;
}

int add_rope(ModelMetadata& m, ModelSpec& spec, const RopeOptions& options) {
  return add_rope(spec, rope(m, options));
}

RopeOptions sectioned_rope(ModelMetadata& m) {
  const auto sections = m.integers("rope.dimension_sections", {0, runtime::kMaxHeadDim});
  if (sections.size() < 2 || sections[0] == 0 || sections[1] == 0) return {};
  return {.split_halves = true, .sections = runtime::RopeSections::kCyclic};
}

RopeOptions halves_with_sections(ModelMetadata& m, runtime::RopeSections kind) {
  const bool has_sections = m.has("rope.dimension_sections");
  return {.split_halves = true, .sections = has_sections ? kind : runtime::RopeSections::kNone};
}

int64_t window_rope_dims(ModelMetadata& m) {
  return m.integer("rope.dimension_count_swa", m.rope_dims(), {0, runtime::kMaxHeadDim});
}

double window_rope_base(ModelMetadata& m, double fallback) {
  return static_cast<double>(m.number("rope.freq_base_swa", static_cast<float>(fallback)));
}

double window_rope_base(ModelMetadata& m) {
  return window_rope_base(m, static_cast<double>(m.number("rope.freq_base", 10000.0F)));
}

RopeOptions own_window_rope(ModelMetadata& m, int64_t n_dims) {
  return {.split_halves = true,
          .n_dims = n_dims,
          .base = window_rope_base(m, 10000.0),
          .scaled = false,
          .keep_magnitude = true};
}

void learned_positions(ModelMetadata& m, ModelSpec& spec) {
  spec.embedding.positions = tensor("position_embd.weight", {m.d_model(), m.context_length()});
  spec.max_positions = m.context_length();
}

int64_t window_size(ModelMetadata& m, int64_t fallback) {
  return m.integer("attention.sliding_window", fallback, {0, runtime::kMaxContext});
}

int64_t required_window(ModelMetadata& m) {
  return m.required_integer("attention.sliding_window", {0, runtime::kMaxContext});
}

WindowPattern::WindowPattern(ModelMetadata& m, int64_t window, int64_t period, Full full)
    : window_(window), period_(period), full_(full) {
  constexpr const char* kKey = "attention.sliding_window_pattern";
  if (!m.is_array(kKey)) {
    period_ = m.integer(kKey, period, {0, runtime::kMaxLayers});
    return;
  }
  flags_ = m.flags(kKey);
}

int64_t WindowPattern::window(int64_t layer) const {
  if (!flags_.empty()) return flags_[static_cast<size_t>(layer)] != 0 ? window_ : 0;
  if (period_ == 0) return window_;
  const int64_t at = layer % period_;
  const bool full = full_ == Full::kLast ? at == period_ - 1 : at == 0;
  return full ? 0 : window_;
}

WindowPattern required_pattern(ModelMetadata& m) {
  if (!m.is_array("attention.sliding_window_pattern")) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("{}.attention.sliding_window_pattern must be an array with a flag for each "
                       "layer",
                       m.architecture()));
  }
  return {m, required_window(m), 0};
}

WindowRopes window_ropes(ModelMetadata& m, ModelSpec& spec, const RopeOptions& full,
                         RopeOptions windowed) {
  if (windowed.base == 0.0) windowed.base = window_rope_base(m);
  WindowRopes ropes;
  ropes.full = add_rope(m, spec, full);
  ropes.windowed = add_rope(m, spec, windowed);
  return ropes;
}

WindowRopes window_ropes(ModelMetadata& m, ModelSpec& spec, const RopeOptions& both) {
  return window_ropes(m, spec, both, both);
}

}  // namespace llmrun::models
