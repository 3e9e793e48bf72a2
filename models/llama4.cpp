// Llama 4: three of four layers attend within chunks and have rope, after which queries and keys
// are normalised; the fourth has neither, and its queries grow with the position. Experts in every
// interleave_moe_layer_step-th layer: the router's weight multiplies what an expert reads.
#include <utility>

#include "models/common.h"

namespace llmrun::models {
namespace {

constexpr int64_t kChunk = 8192;  // whatever attention.sliding_window says

runtime::MoeFfn experts(ModelMetadata& m, int64_t layer) {
  runtime::MoeFfn ffn = moe_ffn(
      m, layer,
      {.own_width = true, .router = RouterKind::kSigmoid, .normalise = false, .shared_count = 1});
  ffn.select_by_logit = true;
  ffn.weighs_input = true;
  return ffn;
}

}  // namespace

ModelSpec build_llama4(ModelMetadata& m) {
  const int64_t step = m.required_integer("interleave_moe_layer_step", {1, runtime::kMaxLayers});
  const bool chunks = window_size(m, kChunk) > 0;
  const NormStyle style = rms_norm(m);
  const FfnOf ffn = [&](int64_t i) -> runtime::Ffn {
    if ((i + 1) % step != 0) return dense_ffn(m, i);
    return experts(m, i);
  };
  return plain_decoder(
      m, style,
      {.rope = {.factors = Factors::kRopeFreqs},
       .windows = WindowPattern(m, chunks ? kChunk : 0, 4),
       .window_rope = RopeOptions{.factors = Factors::kRopeFreqs, .base = window_rope_base(m)},
       .ffn = ffn,
       .adjust = [&](int64_t i, LayerSpec& layer) {
         auto& mixer = std::get<runtime::Attention>(layer.mixer);
         mixer.chunk = std::exchange(mixer.window, 0);
         if (chunks && (i + 1) % 4 == 0) {
           mixer.rope = runtime::kNoRope;
           mixer.temperature = {.scale = 0.1F, .length = kChunk, .offset = 1};
         } else if (m.n_experts() != 128) {
           mixer.q_norm = mixer.k_norm = weightless_norm(style, mixer.k_dim);
           mixer.qk_norm_after_rope = true;
         }
       }});
}

}  // namespace llmrun::models
