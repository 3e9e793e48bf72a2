// From a layer's blocks to the functions that run them.
#include <variant>

#include "runtime/pass.h"

namespace llmrun::runtime {

bool run_mixer(Pass& pass, const Mixer& mixer, ConstRows x, Rows y, bool add) {
  if (const auto* attention = std::get_if<Attention>(&mixer)) {
    run_attention(pass, *attention, x, y, add);
  } else if (const auto* matrix = std::get_if<LinearMixer>(&mixer)) {
    project(pass, x, {{matrix->out, y, add}});
  } else if (const auto* latent = std::get_if<LatentAttention>(&mixer)) {
    run_latent_attention(pass, *latent, x, y, add);
  } else if (const auto* conv = std::get_if<ShortConv>(&mixer)) {
    run_short_conv(pass, *conv, x, y);
  } else if (const auto* space = std::get_if<StateSpace>(&mixer)) {
    run_state_space(pass, *space, x, y);
  } else if (const auto* lightning = std::get_if<LightningAttention>(&mixer)) {
    run_lightning_attention(pass, *lightning, x, y);
  } else if (const auto* delta = std::get_if<DeltaNet>(&mixer)) {
    run_delta_net(pass, *delta, x, y);
  } else {
    return false;
  }
  return true;
}

bool run_ffn(Pass& pass, const Ffn& ffn, ConstRows x, Rows y, bool add) {
  if (const auto* dense = std::get_if<DenseFfn>(&ffn)) {
    run_dense_ffn(pass, *dense, x, y, add);
  } else if (const auto* moe = std::get_if<MoeFfn>(&ffn)) {
    run_moe_ffn(pass, *moe, x, y);
  } else {
    return false;
  }
  return true;
}

bool adds_itself(const Mixer& mixer) {
  if (const auto* attention = std::get_if<Attention>(&mixer)) return attention->out_scale == 1.0F;
  return std::holds_alternative<LatentAttention>(mixer);
}

bool adds_itself(const Ffn& ffn) {
  const auto* dense = std::get_if<DenseFfn>(&ffn);
  return dense != nullptr && dense->up.declared();
}

}  // namespace llmrun::runtime
