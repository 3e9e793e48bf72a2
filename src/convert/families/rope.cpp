// The formulas are those of transformers' modeling_rope_utils (YaRN: Peng et al. 2023; LongRoPE:
// Ding et al. 2024), which differ from GGUF's keys in where a magnitude is counted.
#include "convert/families/rope.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace llmrun::convert {
namespace {

int64_t original_context(const Conversion& c, const Config& section) {
  constexpr const char* kKey = "original_max_position_embeddings";
  const Range positions{1, kMaxPositions};
  const int64_t whole = c.config().integer("max_position_embeddings", positions);
  const int64_t in_config = c.config().integer(kKey, whole, positions);
  return section.integer(kKey, in_config, positions);
}

double factor_of(const Config& section) {
  const double factor = section.number("factor");
  if (factor > 0.0) return factor;
  section.fail(ErrorCode::kBadModel, "the factor of the rope scaling is not positive");
  return 1.0;
}

void add_yarn(Conversion& c, const Config& section) {
  const double factor = factor_of(section);
  c.set("rope.scaling.type", "yarn");
  c.set_number("rope.scaling.factor", factor);
  c.set_integer("rope.scaling.original_context_length", original_context(c, section));
  const double mscale = section.number("mscale", 0.0);
  const double mscale_all = section.number("mscale_all_dim", 0.0);
  const double magnitude = section.number(
      "attention_factor", mscale != 0.0 && mscale_all != 0.0
                              ? yarn_magnitude(factor, mscale) / yarn_magnitude(factor, mscale_all)
                              : yarn_magnitude(factor));
  // Readers of GGUF multiply by YaRN's magnitude themselves.
  const double rest = magnitude / yarn_magnitude(factor);
  if (std::abs(rest - 1.0) > 1e-6) c.set_number("rope.scaling.attn_factor", rest);
  if (section.number("beta_fast", 32.0) != 32.0 || section.number("beta_slow", 1.0) != 1.0) {
    c.fail(ErrorCode::kUnsupported,
           "YaRN with other bounds than beta_fast 32 and beta_slow 1 cannot be run");
  }
  if (!section.flag("truncate", true)) {
    c.warn(
        "YaRN's bounds are rounded when the model runs (config.json says truncate: false); the "
        "effect is far below that of quantising");
  }
}

// Long wavelengths are stretched by the factor, short ones kept, those between blended.
std::vector<float> llama3_factors(const Config& section, double base, int64_t n_dims,
                                  int64_t original) {
  const double factor = factor_of(section);
  const double low = section.number("low_freq_factor", 1.0);
  const double high = section.number("high_freq_factor", 4.0);
  if (!(low > 0.0 && high > low)) {
    section.fail(ErrorCode::kBadModel,
                 "low_freq_factor must be above 0 and below high_freq_factor");
  }
  std::vector<float> factors;
  for (int64_t i = 0; i < n_dims / 2 && section.ok(); ++i) {
    const double frequency =
        std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(n_dims));
    const double turns = static_cast<double>(original) * frequency / (2.0 * std::numbers::pi);
    if (turns < low) {
      factors.push_back(static_cast<float>(factor));
    } else if (turns > high) {
      factors.push_back(1.0F);
    } else {
      const double smooth = (turns - low) / (high - low);
      factors.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
    }
  }
  return factors;
}

void add_longrope(Conversion& c, const Config& section, int64_t n_dims) {
  const int64_t original = original_context(c, section);
  const auto context =
      static_cast<double>(c.config().integer("max_position_embeddings", {1, kMaxPositions}));
  const double stretch = context / static_cast<double>(original);
  const double magnitude = section.number(
      "attention_factor",
      stretch <= 1.0 || original < 2
          ? 1.0
          : std::sqrt(1.0 + std::log(stretch) / std::log(static_cast<double>(original))));
  c.set("rope.scaling.type", "longrope");
  c.set_integer("rope.scaling.original_context_length", original);
  c.set_number("rope.scaling.attn_factor", magnitude);
  for (const char* which : {"long", "short"}) {
    const auto numbers = section.numbers(fmt::format("{}_factor", which).c_str());
    if (static_cast<int64_t>(numbers.size()) != n_dims / 2) {
      c.fail(ErrorCode::kBadModel, fmt::format("{}_factor has {} numbers for {} pairs", which,
                                               numbers.size(), n_dims / 2));
      return;
    }
    c.add(fmt::format("rope_factors_{}.weight", which),
          vector_of({numbers.begin(), numbers.end()}));
  }
}

}  // namespace

double yarn_magnitude(double factor, double multiplier) {
  return factor <= 1.0 ? 1.0 : 0.1 * multiplier * std::log(factor) + 1.0;
}

Config rope_section(const Config& config) {
  return config.section(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
}

double rope_base(const Config& config) {
  const double in_config = config.number("rope_theta", 10000.0);
  const double base = rope_section(config).number("rope_theta", in_config);
  if (base > 0.0) return base;
  config.fail(ErrorCode::kBadModel, "rope_theta is not positive");
  return 1.0;
}

std::string rope_type(const Config& section) {
  const std::string type = section.text("rope_type", section.text("type", "default"));
  return type == "su" ? "longrope" : type;
}

void add_rope(Conversion& c, int64_t n_dims, RopeFactors factors) {
  c.set_number("rope.freq_base", rope_base(c.config()));
  c.set_integer("rope.dimension_count", n_dims);
  add_rope_scaling(c, rope_section(c.config()), n_dims, factors);
}

void add_rope_scaling(Conversion& c, const Config& section, int64_t n_dims, RopeFactors factors) {
  const std::string type = rope_type(section);
  if (type == "default") return;
  if (type == "linear") {
    c.set("rope.scaling.type", "linear");
    c.set_number("rope.scaling.factor", factor_of(section));
  } else if (type == "yarn") {
    add_yarn(c, section);
  } else if (type == "longrope" && factors != RopeFactors::kNone) {
    add_longrope(c, section, n_dims);
  } else if (type == "llama3" && factors == RopeFactors::kAll) {
    c.add("rope_freqs.weight", vector_of(llama3_factors(section, rope_base(c.config()), n_dims,
                                                        original_context(c, section))));
  } else if (type == "dynamic") {
    c.warn(
        "dynamic rope scaling is left out: GGUF has no key for it; up to the trained context "
        "nothing changes");
  } else {
    c.fail(ErrorCode::kUnsupported, fmt::format("rope scaling of the type \"{}\" cannot be "
                                                "converted for {}",
                                                type.substr(0, 64), c.architecture()));
  }
}

}  // namespace llmrun::convert
