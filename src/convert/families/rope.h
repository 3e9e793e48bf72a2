// Rotary positions: the keys rope.*, and tensors with a factor per pair.
#pragma once

#include <cstdint>

#include "convert/conversion.h"

namespace llmrun::convert {

// Which kinds of scaling the architecture's reader knows beside linear and YaRN.
enum class RopeFactors : uint8_t {
  kNone,
  kLongShort,  // longrope: rope_factors_long/short
  kAll,        // llama3 as well: rope_freqs
};

// The object that describes the rotation: rope_parameters, or rope_scaling before transformers 5.
Config rope_section(const Config& config);
// rope_theta, wherever it stands.
double rope_base(const Config& config);
// "default", "linear", "yarn", "llama3", "longrope", "dynamic", …
std::string rope_type(const Config& section);

// For n_dims rotated values of each head. Writes base, dimension count and scaling.
void add_rope(Conversion& c, int64_t n_dims, RopeFactors factors = RopeFactors::kNone);
// The same with an explicit section (models with several).
void add_rope_scaling(Conversion& c, const Config& section, int64_t n_dims, RopeFactors factors);

// YaRN's 1 + 0.1 m ln(factor).
double yarn_magnitude(double factor, double multiplier = 1.0);

}  // namespace llmrun::convert
