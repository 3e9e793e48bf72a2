// What the recurrent mixers of the architecture files share, and the short convolution.
#include "models/common/recurrent.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::models {

using runtime::Convolution;
using runtime::TensorDecl;

std::vector<bool> recurrent_layers(ModelMetadata& m, int64_t interval) {
  const auto n = static_cast<size_t>(m.n_layers());
  std::vector<bool> recurrent(n, false);
  if (m.has("attention.recurrent_layers")) {
    const auto flags = m.flags("attention.recurrent_layers");
    for (size_t i = 0; i < std::min(n, flags.size()); ++i) recurrent[i] = flags[i] != 0;
    return recurrent;
  }
  const auto period =
      static_cast<size_t>(m.integer("full_attention_interval", interval, {1, runtime::kMaxLayers}));
  for (size_t i = 0; i < n; ++i) recurrent[i] = (i + 1) % period != 0;
  return recurrent;
}

int64_t equal_parts(ModelMetadata& m, int64_t whole, int64_t parts, std::string_view what) {
  if (parts >= 1 && whole % parts == 0) return parts;
  m.fail(ErrorCode::kBadModel,
         fmt::format("{} {} cannot be divided into {} equal parts", whole, what, parts));
  return 1;
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
