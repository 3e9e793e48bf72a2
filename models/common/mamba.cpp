// Declares the two forms of Mamba.
#include "models/common/recurrent.h"

namespace llmrun::models {

using runtime::StateSpace;

namespace {

Norm bare_norm(NormStyle style, int64_t width) {
  style.weight = Presence::kNever;
  return norm(style, "", width);
}

void declare_norms(ModelMetadata& m, int64_t layer, const MambaOptions& options,
                   StateSpace& mixer) {
  const NormStyle style = rms_norm(m);
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const int64_t rank = mixer.dt_low.n_out;
  if (options.weightless_norms) {
    mixer.dt_norm = bare_norm(style, rank);
    mixer.b_norm = mixer.c_norm = bare_norm(style, mixer.n_state);
  } else if (m.has_tensor(name("ssm_dt_norm.weight")) && m.has_tensor(name("ssm_b_norm.weight")) &&
             m.has_tensor(name("ssm_c_norm.weight"))) {
    mixer.dt_norm = norm(style, name("ssm_dt_norm"), rank);
    mixer.b_norm = norm(style, name("ssm_b_norm"), mixer.n_state);
    mixer.c_norm = norm(style, name("ssm_c_norm"), mixer.n_state);
  }
}

}  // namespace

StateSpace mamba(ModelMetadata& m, int64_t layer, const MambaOptions& options) {
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const StateSizes sizes = state_sizes(m);
  const int64_t d = m.d_model();
  const int64_t n = sizes.n_inner;
  const int64_t rank = m.required_integer("ssm.time_step_rank", kCounts);
  const int64_t n_selected = rank + 2 * sizes.n_state;
  StateSpace mixer;
  mixer.n_heads = n;  // of one channel each
  mixer.head_dim = 1;
  mixer.n_state = sizes.n_state;
  mixer.x = part_of(name("ssm_in"), d, 2 * n, 0, n);
  mixer.z = part_of(name("ssm_in"), d, 2 * n, n, n);
  mixer.conv = convolution(name("ssm_conv1d"), sizes.n_taps, n, Presence::kRequired);
  mixer.dt_low = part_of(name("ssm_x"), n, n_selected, 0, rank);
  mixer.b = part_of(name("ssm_x"), n, n_selected, rank, sizes.n_state);
  mixer.c = part_of(name("ssm_x"), n, n_selected, rank + sizes.n_state, sizes.n_state);
  declare_norms(m, layer, options, mixer);
  mixer.dt = linear(name("ssm_dt"), rank, n, Presence::kRequired);
  mixer.a = tensor(name("ssm_a"), {sizes.n_state, n});
  mixer.a_per_state = true;
  mixer.d = tensor(name("ssm_d"), {n});
  mixer.out = linear(name("ssm_out"), n, d);
  return mixer;
}

StateSpace mamba2(ModelMetadata& m, int64_t layer, const NormStyle& style) {
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const StateSizes sizes = state_sizes(m);
  const int64_t d = m.d_model();
  const int64_t n = sizes.n_inner;
  StateSpace mixer;
  mixer.n_heads = equal_parts(m, n, m.required_integer("ssm.time_step_rank", kCounts), "channels");
  mixer.head_dim = n / mixer.n_heads;
  mixer.n_groups = equal_parts(m, mixer.n_heads, m.required_integer("ssm.group_count", kCounts),
                               "heads of the state space");
  mixer.n_state = sizes.n_state;
  const int64_t n_channels = n + 2 * mixer.n_groups * mixer.n_state;
  const int64_t n_rows = n + n_channels + mixer.n_heads;
  mixer.z = part_of(name("ssm_in"), d, n_rows, 0, n);
  mixer.x = part_of(name("ssm_in"), d, n_rows, n, n_channels);
  mixer.conv = convolution(name("ssm_conv1d"), sizes.n_taps, n_channels, Presence::kRequired);
  mixer.dt = part_of(name("ssm_in"), d, n_rows, n + n_channels, mixer.n_heads);
  mixer.dt.bias = tensor(name("ssm_dt.bias"), {mixer.n_heads});
  mixer.a = per_head(m, name("ssm_a"), mixer.n_heads);
  mixer.d = per_head(m, name("ssm_d"), mixer.n_heads);
  if (m.has_tensor(name("ssm_norm.weight"))) {
    mixer.out_norm = head_norm(style, name("ssm_norm"), mixer.n_groups, n / mixer.n_groups, true);
  }
  mixer.out = linear(name("ssm_out"), n, d);
  return mixer;
}

}  // namespace llmrun::models
