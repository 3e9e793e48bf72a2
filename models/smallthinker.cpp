// SmallThinker: the router reads the stream before attention; ReLU experts. With windows, every
// fourth layer from the first on has neither window nor rope.
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_smallthinker(ModelMetadata& m) {
  // The key only switches the windows on.
  const bool windows = window_size(m, 0) > 0;
  const MoeOptions experts{
      .own_width = true, .router = required_router(m), .activation = Activation::kRelu};
  return plain_decoder(
      m, rms_norm(m),
      {.rope = {.split_halves = true},
       .windows = WindowPattern(m, windows ? 4096 : 0, 4, WindowPattern::Full::kFirst),
       .window_rope = RopeOptions{.split_halves = true, .base = window_rope_base(m)},
       .ffn = every_layer_moe(m, experts),
       .adjust = [&](int64_t i, LayerSpec& layer) {
         std::get<runtime::MoeFfn>(layer.ffn).routes_layer_input = true;
         // The reference leaves rope to all layers of a model of four.
         if (windows && i % 4 == 0 && m.n_layers() != 4) {
           std::get<runtime::Attention>(layer.mixer).rope = runtime::kNoRope;
         }
       }});
}

}  // namespace llmrun::models
