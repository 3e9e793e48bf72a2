// Hierarchical reasoning model for text: two stacks of layers run in turn, the low one l_cycles
// times for each run of the high one, on the sum of two states of which each replaces its own.
// Every run has a cache of its own, so the spec lists the layers of all runs; their tensors repeat.
#include "base/error.h"
#include "models/common.h"

namespace llmrun::models {

ModelSpec build_hrm_text(ModelMetadata& m) {
  NormStyle style = rms_norm(m);
  style.weight = Presence::kNever;
  ModelSpec spec = decoder(m, style);
  spec.head.norm.reset();
  apply_scales(m, spec, {});
  const runtime::Range counts{1, runtime::kMaxLayers};
  const int64_t per_stack = m.required_integer("hrm.layers_per_stack", counts);
  const int64_t h_cycles = m.required_integer("hrm.h_cycles", counts);
  const int64_t l_cycles = m.required_integer("hrm.l_cycles", counts);
  if (per_stack * h_cycles * (l_cycles + 1) != m.n_layers()) {
    m.fail(
        ErrorCode::kBadModel,
        fmt::format("{} layers per stack, {} high and {} low cycles do not make the {} blocks of "
                    "{}.block_count",
                    per_stack, h_cycles, l_cycles, m.n_layers(), m.architecture()));
  }
  spec.two_states =
      runtime::TwoStates{tensor("hrm.z_l_init", {m.d_model()}), norm(style, "", m.d_model())};
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t run, LayerSpec& layer) {
    const bool low = run / per_stack % (l_cycles + 1) < l_cycles;
    const int64_t i = run % per_stack + (low ? 0 : per_stack);
    pre_norms(m, style, i, layer);
    layer.mixer = attention(m, i, {.rope = rope, .gate = Activation::kSigmoid});
    layer.ffn = dense_ffn(m, i);
    if ((run + 1) % per_stack == 0)
      layer.ends = low ? runtime::StackEnd::kLow : runtime::StackEnd::kHigh;
  });
  return spec;
}

}  // namespace llmrun::models
