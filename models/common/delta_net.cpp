// Declares gated delta nets and Kimi Delta Attention.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/common/recurrent.h"

namespace llmrun::models {

using runtime::Convolution;
using runtime::DeltaNet;
using runtime::Linear;

namespace {

// q, k and v as three Linears that are rows of attn_qkv.
void declare_fused_qkv(ModelMetadata& m, int64_t layer, DeltaNet& mixer) {
  const int64_t n_k = mixer.n_k_heads * mixer.k_dim;
  const int64_t n_v = mixer.n_heads * mixer.v_dim;
  const auto part = [&](int64_t first, int64_t n) {
    return part_of(block(layer, "attn_qkv"), m.d_model(), 2 * n_k + n_v, first, n);
  };
  mixer.q = part(0, n_k);
  mixer.k = part(n_k, n_k);
  mixer.v = part(2 * n_k, n_v);
}

// The convolutions of q, k and v as channels of ssm_conv1d.
void declare_fused_convolutions(int64_t layer, int64_t n_taps, DeltaNet& mixer) {
  const int64_t n_k = mixer.n_k_heads * mixer.k_dim;
  const int64_t n_v = mixer.n_heads * mixer.v_dim;
  const auto part = [&](int64_t first, int64_t n) {
    Convolution conv = convolution(block(layer, "ssm_conv1d"), n_taps, 2 * n_k + n_v);
    conv.n_channels = n;
    conv.weight.first = first;
    conv.weight.count = n;
    return conv;
  };
  mixer.q_conv = part(0, n_k);
  mixer.k_conv = part(n_k, n_k);
  mixer.v_conv = part(2 * n_k, n_v);
}

void declare_qwen_decay(ModelMetadata& m, int64_t layer, DeltaNet& mixer) {
  const int64_t d = m.d_model();
  const runtime::TensorDecl bias = tensor(block(layer, "ssm_dt.bias"), {mixer.n_heads});
  if (m.has_tensor(block(layer, "ssm_ba.weight"))) {
    mixer.beta_decay = {linear(block(layer, "ssm_ba"), d, 2 * mixer.n_heads), mixer.n_k_heads};
    mixer.decay_bias = bias;
    return;
  }
  mixer.beta = linear(block(layer, "ssm_beta"), d, mixer.n_heads);
  mixer.decay = linear(block(layer, "ssm_alpha"), d, mixer.n_heads);
  mixer.decay.bias = bias;
}

// name_a and name_b when the file has both, else name_a alone: y = b(a(x)) or a(x).
void declare_low_rank(ModelMetadata& m, int64_t layer, const std::string& name, int64_t n_out,
                      Linear& low, Linear& linear_of) {
  const std::string a = block(layer, name + "_a");
  const std::string b = block(layer, name + "_b");
  if (!m.has_tensor(b + ".weight")) {
    linear_of = linear(a, m.d_model(), n_out);
    return;
  }
  const int64_t rank = std::clamp(m.tensor_dim(b + ".weight", 0), int64_t{1}, runtime::kMaxWidth);
  low = linear(a, m.d_model(), rank);
  linear_of = linear(b, rank, n_out);
}

}  // namespace

DeltaNet delta_net(ModelMetadata& m, int64_t layer, const DeltaNetOptions& options) {
  const StateSizes sizes = state_sizes(m);
  const int64_t d = m.d_model();
  const NormStyle style = rms_norm(m);
  DeltaNet mixer;
  mixer.n_heads = m.required_integer("ssm.time_step_rank", {1, runtime::kMaxHeads});
  mixer.n_k_heads =
      equal_parts(m, mixer.n_heads, m.required_integer("ssm.group_count", {1, runtime::kMaxHeads}),
                  "heads of the delta net");
  mixer.k_dim = mixer.v_dim = sizes.n_state;
  const int64_t n_v = mixer.n_heads * mixer.v_dim;
  if (sizes.n_inner != n_v) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("{}.ssm.inner_size is {}, but {} heads of {} are {}", m.architecture(),
                       sizes.n_inner, mixer.n_heads, mixer.v_dim, n_v));
  }
  mixer.tiled_heads = options.tiled_heads;
  if (m.has_tensor(block(layer, "attn_qkv.weight"))) {
    declare_fused_qkv(m, layer, mixer);
    mixer.gate = linear(block(layer, "attn_gate"), d, n_v);
  } else {
    const int64_t n_rows = 2 * mixer.n_k_heads * mixer.k_dim + 2 * n_v;
    mixer.qkvz = {linear(block(layer, "ssm_in"), d, n_rows), mixer.n_k_heads};
  }
  declare_fused_convolutions(layer, sizes.n_taps, mixer);
  declare_qwen_decay(m, layer, mixer);
  mixer.a = per_head(m, block(layer, "ssm_a"), mixer.n_heads);
  mixer.length_eps = style.eps;
  mixer.scale = 1.0F / std::sqrt(static_cast<float>(mixer.k_dim));
  mixer.out_norm = norm(style, block(layer, "ssm_norm"), mixer.v_dim);
  mixer.gate_activation = options.gate;
  mixer.out = linear(block(layer, "ssm_out"), n_v, d);
  return mixer;
}

runtime::Attention gated_attention(ModelMetadata& m, int64_t layer,
                                   const AttentionOptions& options) {
  runtime::Attention mixer = attention(m, layer, options);
  mixer.gate_in_q = true;
  mixer.q = linear(block(layer, "attn_q"), m.d_model(), mixer.n_heads * (mixer.k_dim + mixer.v_dim),
                   options.bias);
  return mixer;
}

DeltaNet kimi_delta(ModelMetadata& m, int64_t layer, const KimiDeltaOptions& options) {
  const int64_t d = m.d_model();
  const NormStyle style = rms_norm(m);
  const int64_t n_taps = m.required_integer("ssm.conv_kernel", {1, kernels::kMaxConvTaps});
  DeltaNet mixer;
  mixer.n_heads = mixer.n_k_heads = std::max(int64_t{1}, m.n_heads(0));
  mixer.k_dim = mixer.v_dim = m.required_integer("kda.head_dim", {1, kernels::kMaxDeltaKeyDim});
  const int64_t n = mixer.n_heads * mixer.k_dim;
  if (m.has_tensor(block(layer, "attn_qkv.weight"))) {
    declare_fused_qkv(m, layer, mixer);
  } else {
    mixer.q = linear(block(layer, "attn_q"), d, n);
    mixer.k = linear(block(layer, "attn_k"), d, n);
    mixer.v = linear(block(layer, "attn_v"), d, n);
  }
  const auto own_convolution = [&](const char* name) {
    Convolution conv = convolution(block(layer, name), n_taps, n);
    conv.weight.shape = {n_taps, 1, n};
    return conv;
  };
  mixer.q_conv = own_convolution("ssm_conv1d_q");
  mixer.k_conv = own_convolution("ssm_conv1d_k");
  mixer.v_conv = own_convolution("ssm_conv1d_v");
  mixer.beta = linear(block(layer, "ssm_beta"), d, mixer.n_heads);
  declare_low_rank(m, layer, "ssm_f", n, mixer.decay_low, mixer.decay);
  mixer.decay.bias = tensor(block(layer, "ssm_dt.bias"), {n});
  mixer.a = per_head(m, block(layer, "ssm_a"), mixer.n_heads);
  if (options.decay_bound != 0.0F) mixer.decay_form = runtime::DecayForm::kBounded;
  mixer.decay_bound = options.decay_bound;
  mixer.a_sign = options.a_sign;
  mixer.length_eps = style.eps;
  mixer.scale = 1.0F / std::sqrt(static_cast<float>(mixer.k_dim));
  mixer.out_norm = norm(style, block(layer, "ssm_norm"), mixer.v_dim);
  if (m.has_tensor(block(layer, "ssm_g.weight"))) {
    mixer.gate = linear(block(layer, "ssm_g"), d, n);
  } else {
    declare_low_rank(m, layer, "ssm_g", n, mixer.gate_low, mixer.gate);
  }
  mixer.gate_activation = Activation::kSigmoid;
  mixer.out = linear(block(layer, "attn_output"), n, d);
  return mixer;
}

}  // namespace llmrun::models
