// Declares recurrent mixers for the architecture files.
#include "models/recurrent.h"

#include <cmath>

#include "base/error.h"

namespace llmrun::models {

using runtime::Convolution;
using runtime::DeltaNet;
using runtime::Linear;
using runtime::StateSpace;
using runtime::TensorDecl;

namespace {

constexpr runtime::Range kCounts{1, runtime::kMaxWidth};

// Fails unless `parts` equal parts make up `whole`; what it returns can be divided by.
int64_t divisor(ModelMetadata& m, int64_t whole, int64_t parts, std::string_view what) {
  if (parts >= 1 && whole % parts == 0) return parts;
  m.fail(ErrorCode::kBadModel,
         fmt::format("{}: {} cannot be divided into {} equal parts", what, whole, parts));
  return 1;
}

Norm bare_norm(NormStyle style, int64_t width) {
  style.weight = Presence::kNever;
  return norm(style, "", width);
}

}  // namespace

std::vector<bool> recurrent_layers(ModelMetadata& m, int64_t interval) {
  const auto n = static_cast<size_t>(m.n_layers());
  std::vector<bool> recurrent(n, false);
  if (m.has("attention.recurrent_layers")) {
    const auto flags = m.integers("attention.recurrent_layers", {0, INT32_MAX});
    if (flags.size() < n) {
      m.fail(ErrorCode::kBadModel,
             fmt::format("attention.recurrent_layers has {} flags for {} layers", flags.size(), n));
      return recurrent;
    }
    for (size_t i = 0; i < n; ++i) recurrent[i] = flags[i] != 0;
    return recurrent;
  }
  const auto period =
      static_cast<size_t>(m.integer("full_attention_interval", interval, {1, runtime::kMaxLayers}));
  for (size_t i = 0; i < n; ++i) recurrent[i] = (i + 1) % period != 0;
  return recurrent;
}

StateSizes state_sizes(ModelMetadata& m) {
  return {.n_inner = m.required_integer("ssm.inner_size", kCounts),
          .n_state = m.required_integer("ssm.state_size", {1, runtime::kMaxHeadDim}),
          .n_taps = m.required_integer("ssm.conv_kernel", {1, kernels::kMaxConvTaps})};
}

Convolution convolution(const std::string& name, int64_t n_taps, int64_t n_channels,
                        Presence bias) {
  return {.weight = tensor(name + ".weight", {n_taps, n_channels}),
          .bias = tensor(name + ".bias", {n_channels}, bias),
          .n_taps = n_taps,
          .n_channels = n_channels};
}

TensorDecl per_head(const ModelMetadata& m, const std::string& name, int64_t n_heads) {
  const bool flat = m.tensor_dim(name, 0) == n_heads;
  return tensor(name, flat ? std::vector<int64_t>{n_heads} : std::vector<int64_t>{1, n_heads});
}

StateSpace mamba(ModelMetadata& m, int64_t layer, const MambaOptions& options) {
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const NormStyle style = rms_norm(m);
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
  if (options.weightless_norms) {
    mixer.dt_norm = bare_norm(style, rank);
    mixer.b_norm = mixer.c_norm = bare_norm(style, sizes.n_state);
  } else if (m.has_tensor(name("ssm_dt_norm.weight")) && m.has_tensor(name("ssm_b_norm.weight")) &&
             m.has_tensor(name("ssm_c_norm.weight"))) {
    mixer.dt_norm = norm(style, name("ssm_dt_norm"), rank);
    mixer.b_norm = norm(style, name("ssm_b_norm"), sizes.n_state);
    mixer.c_norm = norm(style, name("ssm_c_norm"), sizes.n_state);
  }
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
  mixer.n_heads = divisor(m, n, m.required_integer("ssm.time_step_rank", kCounts), "ssm heads");
  mixer.head_dim = n / mixer.n_heads;
  mixer.n_groups = divisor(m, mixer.n_heads, m.required_integer("ssm.group_count", kCounts),
                           "ssm groups of heads");
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

runtime::ShortConv short_conv(ModelMetadata& m, int64_t layer) {
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const int64_t d = m.d_model();
  const int64_t n_taps = m.required_integer("shortconv.l_cache", {1, kernels::kMaxConvTaps});
  runtime::ShortConv mixer;
  mixer.b = part_of(name("shortconv.in_proj"), d, 3 * d, 0, d);
  mixer.c = part_of(name("shortconv.in_proj"), d, 3 * d, d, d);
  mixer.u = part_of(name("shortconv.in_proj"), d, 3 * d, 2 * d, d);
  mixer.conv = convolution(name("shortconv.conv"), n_taps, d);
  mixer.out = linear(name("shortconv.out_proj"), d, d);
  return mixer;
}

}  // namespace llmrun::models
