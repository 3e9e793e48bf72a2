// PLaMo 2: attention, or a state space whose heads are Mamba 2's and whose step, b and c are
// computed as in Mamba 1; norms before and after every block.
#include <algorithm>
#include <cmath>

#include "models/common.h"

namespace llmrun::models {
namespace {

// Of a tensor whose name has no ".weight".
Norm suffixless_norm(const NormStyle& style, const std::string& name, int64_t width) {
  Norm result = norm(style, name, width);
  result.weight.name = name;
  return result;
}

runtime::StateSpace state_space(ModelMetadata& m, int64_t layer, const NormStyle& style) {
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const StateSizes sizes = state_sizes(m);
  const int64_t d = m.d_model();
  const int64_t n = sizes.n_inner;
  const int64_t rank = std::max(int64_t{64}, d / 16);
  const int64_t n_selected = 2 * sizes.n_state + rank;
  runtime::StateSpace mixer;
  mixer.n_heads = equal_parts(m, n, m.required_integer("ssm.time_step_rank", kCounts), "channels");
  mixer.head_dim = n / mixer.n_heads;
  mixer.n_state = sizes.n_state;
  mixer.zx = {linear(name("ssm_in"), d, 2 * n), mixer.n_heads};
  mixer.conv = convolution(name("ssm_conv1d"), sizes.n_taps, n);
  mixer.b = part_of(name("ssm_x"), n, n_selected, 0, sizes.n_state);
  mixer.c = part_of(name("ssm_x"), n, n_selected, sizes.n_state, sizes.n_state);
  mixer.dt_low = part_of(name("ssm_x"), n, n_selected, 2 * sizes.n_state, rank);
  mixer.b_norm = suffixless_norm(style, name("ssm_b_norm"), sizes.n_state);
  mixer.c_norm = suffixless_norm(style, name("ssm_c_norm"), sizes.n_state);
  mixer.dt_norm = suffixless_norm(style, name("ssm_dt_norm"), rank);
  mixer.dt = linear(name("ssm_dt"), rank, mixer.n_heads, Presence::kRequired);
  mixer.a = per_head(m, name("ssm_a"), mixer.n_heads);
  mixer.d = per_head(m, name("ssm_d"), mixer.n_heads);
  mixer.out = linear(name("ssm_out"), n, d);
  return mixer;
}

runtime::Attention own_head_norms(ModelMetadata& m, int64_t layer, const NormStyle& style,
                                  int rope) {
  runtime::Attention mixer = attention(m, layer,
                                       {.rope = rope,
                                        .bias = Presence::kNever,
                                        .scale = 1.0F / std::sqrt(static_cast<float>(m.v_dim()))});
  mixer.q_norm = head_norm(style, block(layer, "attn_q_norm"), mixer.n_heads, mixer.k_dim, true);
  mixer.k_norm = head_norm(style, block(layer, "attn_k_norm"), mixer.n_kv_heads, mixer.k_dim, true);
  return mixer;
}

}  // namespace

ModelSpec build_plamo2(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  ModelSpec spec = decoder(m, style);
  const int rope = add_rope(m, spec, {.split_halves = true});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    pre_norms(m, style, i, layer);
    layer.mixer_post_norm = suffixless_norm(style, block(i, "post_attention_norm"), m.d_model());
    layer.ffn_post_norm = suffixless_norm(style, block(i, "post_ffw_norm"), m.d_model());
    if (is_recurrent(m, i)) {
      layer.mixer = state_space(m, i, style);
    } else {
      layer.mixer = own_head_norms(m, i, style, rope);
    }
    layer.ffn = dense_ffn(m, i, {.fused_up = true});
  });
  return spec;
}

}  // namespace llmrun::models
