// What Gemma 2 and 3 share.
#pragma once

#include "convert/families/common.h"

namespace llmrun::convert {

// Norms stand around 0 in the folder and around 1 in GGUF.
inline constexpr float kGemmaNorm = 1.0F;

// The scores' scale must be the one that readers of GGUF derive from the sizes; `odd_layers` is the
// number of layers of the one model that has another.
void check_score_scale(Conversion& c, const Decoder& d, int64_t odd_layers);

// Embedding, last norm, attention and feed-forward of all layers, with their four norms.
void add_gemma_layers(Conversion& c, const Decoder& d);

}  // namespace llmrun::convert
