// The frame of a decoder: embedding and head, the loop over its layers, where the norms stand.
#pragma once

#include <functional>
#include <optional>

#include "models/common/attention.h"
#include "models/common/feed_forward.h"
#include "models/common/norms.h"
#include "models/common/positions.h"

namespace llmrun::models {

enum class Tie : uint8_t { kIfAbsent, kNever, kAlways };
struct DecoderOptions {
  Tie tie = Tie::kIfAbsent;
  Presence output_bias = Presence::kNever;
};
// Embedding and head; the layers come from for_each_layer().
ModelSpec decoder(ModelMetadata& m, const NormStyle& final_norm,
                  const DecoderOptions& options = {});
// Calls fill(i, layer) for every layer and keeps the result. Stops at the first error.
void for_each_layer(ModelMetadata& m, ModelSpec& spec,
                    const std::function<void(int64_t, LayerSpec&)>& fill);
// Gives the layer attn_norm and ffn_norm.
void pre_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);
// Gives the layer post_attention_norm and post_ffw_norm.
void post_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);
// Makes the branches parallel; both read attn_norm.
void parallel_norm(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);

// embedding_scale, residual_scale (of both branches) and logit_scale (which divides), with the
// values they have when the file gives none; 0: no scale.
struct Scales {
  float embedding = 0.0F;
  float residual = 0.0F;
  float logit_divisor = 0.0F;
};
void apply_scales(ModelMetadata& m, ModelSpec& spec, const Scales& fallback);

enum class NormPlaces : uint8_t {
  kBefore,  // attn_norm, ffn_norm
  kAfter,   // post_attention_norm, post_ffw_norm
  kBoth,
  kShared,  // attn_norm, which both branches read side by side
};

// What most architectures are up to options.
struct PlainOptions {
  DecoderOptions whole{};
  NormPlaces norms = NormPlaces::kBefore;
  std::optional<NormStyle> post_norm{};  // of the norms after the branches; none: as the others
  bool with_rope = true;                 // false: no layer rotates, but for window_rope
  RopeOptions rope{};
  std::optional<WindowPattern> windows{};    // none: every layer sees everything
  std::optional<RopeOptions> window_rope{};  // of layers with a window; none: as the others
  AttentionOptions attention{};              // its rope and window are filled in
  FfnOf ffn{};                               // empty: dense, with the default options
  std::function<void(int64_t, LayerSpec&)> adjust{};  // has the last word on each layer
};
ModelSpec plain_decoder(ModelMetadata& m, const NormStyle& style, const PlainOptions& options);

}  // namespace llmrun::models
