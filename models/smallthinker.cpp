// SmallThinker: the router reads the stream before attention; ReLU experts. With windows, every
// fourth layer from the first on has neither window nor rope.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_smallthinker(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const WindowRopes ropes = window_ropes(m, spec, {.split_halves = true});
  // The key only switches the windows on.
  const bool windows = window_size(m, 0) > 0;
  const WindowPattern pattern(m, windows ? 4096 : 0, 4, WindowPattern::Full::kFirst);
  const MoeOptions experts{
      .own_width = true, .router = required_router(m), .activation = Activation::kRelu};
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    // The reference leaves rope to all layers of a model of four.
    const bool turns = !windows || i % 4 != 0 || m.n_layers() == 4;
    layer.mixer = attention(
        m, i,
        {.rope = turns ? ropes.of(pattern, i) : runtime::kNoRope, .window = pattern.window(i)});
    auto ffn = moe_ffn(m, i, experts);
    ffn.routes_layer_input = true;
    layer.ffn = std::move(ffn);
  });
  return spec;
}

}  // namespace llmrun::models
