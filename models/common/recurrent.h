// Recurrent mixers.
#pragma once

#include "models/common/attention.h"
#include "models/common/norms.h"
#include "models/common/tensors.h"

namespace llmrun::models {

// Hybrids mark the recurrent layers by zero key heads.
inline bool is_recurrent(const ModelMetadata& m, int64_t layer) { return m.n_kv_heads(layer) == 0; }
// Or by attention.recurrent_layers, one flag per layer; without it, every layer but each
// `interval`th (full_attention_interval, else the given default).
std::vector<bool> recurrent_layers(ModelMetadata& m, int64_t interval);

inline constexpr runtime::Range kCounts{1, runtime::kMaxWidth};
// `parts`; fails when they cannot be equal parts of `whole` things, and then is a safe 1.
int64_t equal_parts(ModelMetadata& m, int64_t whole, int64_t parts, std::string_view what);

// ssm.inner_size = n_heads * head_dim, ssm.state_size, ssm.conv_kernel.
struct StateSizes {
  int64_t n_inner = 1;
  int64_t n_state = 1;
  int64_t n_taps = 1;
};
StateSizes state_sizes(ModelMetadata& m);

runtime::Convolution convolution(const std::string& name, int64_t n_taps, int64_t n_channels,
                                 Presence bias = Presence::kNever);
// A vector of one value per head, which files store as [n_heads] or [1, n_heads].
runtime::TensorDecl per_head(const ModelMetadata& m, const std::string& name, int64_t n_heads);

// Mamba 1. The norms of dt, b and c: their own weights when all three are there, or none.
struct MambaOptions {
  bool weightless_norms = false;
};
runtime::StateSpace mamba(ModelMetadata& m, int64_t layer, const MambaOptions& options = {});
// Mamba 2.
runtime::StateSpace mamba2(ModelMetadata& m, int64_t layer, const NormStyle& style);

runtime::ShortConv short_conv(ModelMetadata& m, int64_t layer);

// Gated delta net of the Qwen models; which tensors hold its projections depends on the file.
struct DeltaNetOptions {
  bool tiled_heads = true;
  Activation gate = Activation::kSilu;
};
runtime::DeltaNet delta_net(ModelMetadata& m, int64_t layer, const DeltaNetOptions& options);
// Their full attention: every head's query comes with a gate.
runtime::Attention gated_attention(ModelMetadata& m, int64_t layer,
                                   const AttentionOptions& options);

// Kimi Delta Attention with the heads of layer 0; the projections of gate and decay are of low rank
// when the file has two tensors for them.
struct KimiDeltaOptions {
  float decay_bound = 0.0F;  // 0: softplus form
  float a_sign = 1.0F;       // of a in the bounded form
};
runtime::DeltaNet kimi_delta(ModelMetadata& m, int64_t layer, const KimiDeltaOptions& options);

}  // namespace llmrun::models
