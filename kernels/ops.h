// The op contract: what every backend computes, on which shapes, with which freedom.
//
// Conventions. Activations are float32, row-major, one row per token: a `Rows` of n rows whose
// starts are `stride` floats apart. Weights are matrices of packed blocks, one row per output
// feature, as they lie in a GGUF file. Outputs may not overlap inputs unless an op says so.
//
// Determinism. Every output element is accumulated in one order that depends on the shapes of the
// model alone: never on the number of rows in the call, the thread count or what else is in the
// batch. So a row computed alone and the same row computed among 500 others are equal bit for bit.
//
// Validity. Callers (src/runtime) check shapes once, when a model is bound; ops only assert them.
// Each op names the tolerance within which a backend must agree with kernels/ref.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/tensor_type.h"

namespace llmrun::kernels {

using quant::TensorType;

// n rows of float32; row i starts at data + i * stride.
struct Rows {
  float* data = nullptr;
  int64_t n = 0;
  int64_t width = 0;
  int64_t stride = 0;
};
struct ConstRows {
  const float* data = nullptr;
  int64_t n = 0;
  int64_t width = 0;
  int64_t stride = 0;
  ConstRows() = default;
  ConstRows(const float* d, int64_t n_rows, int64_t w, int64_t s)
      : data(d), n(n_rows), width(w), stride(s) {}
  ConstRows(const Rows& r) : data(r.data), n(r.n), width(r.width), stride(r.stride) {}  // NOLINT
};

// A weight matrix [n_out, n_in] of one tensor type, or a stack of `n_matrices` of them (experts,
// heads) that lie one after the other. Points into the mapped file or into backend memory.
struct Weight {
  const std::byte* data = nullptr;
  TensorType type = TensorType::F32;
  int64_t n_out = 0;
  int64_t n_in = 0;
  int64_t n_matrices = 1;
  size_t row_bytes = 0;
  const void* packed = nullptr;  // the backend's own form, when Backend::prepare made one
  [[nodiscard]] const std::byte* row(int64_t matrix, int64_t out) const {
    return data + static_cast<size_t>(matrix * n_out + out) * row_bytes;
  }
};

// ---- matmul ------------------------------------------------------------------------------------

// One product of a shared input: y[t, o] = scale * sum_i w[o, i] * x[t, i] + bias[o].
struct MatmulOutput {
  Weight weight;
  const float* bias = nullptr;   // [n_out] or null
  const float* scale = nullptr;  // one factor of the whole product (NVFP4 files), or null
  float* y = nullptr;            // [n_tokens, n_out], rows y_stride floats apart
  int64_t y_stride = 0;
  bool accumulate = false;  // y += instead of y =
};
// Several weights may share x (q, k, v; gate, up): it is then converted once.
// Tolerance: for float weights 1e-5 of sum |w x|; for block types what quantising x to int8 with
// one scale per 16 or 32 values costs (relative error of a product below 1%).
struct MatmulParams {
  ConstRows x;  // [n_tokens, n_in]
  std::span<const MatmulOutput> outputs;
};

// The products of a mixture of experts. Pair i is a token and one of its experts:
//   y[i, o] = scale * sum_k w[experts[i], o, k] * x[i / pairs_per_row, k] + bias[experts[i], o]
// The backend groups the pairs by expert; `experts` lies where route() wrote it.
struct ExpertMatmulOutput {
  Weight weight;                 // stack of n_experts matrices
  const float* bias = nullptr;   // [n_experts, n_out] or null
  const float* scale = nullptr;  // [n_experts] factors of the product (NVFP4 files), or null
  float* y = nullptr;            // [n_pairs, n_out], rows y_stride floats apart
  int64_t y_stride = 0;
};
struct ExpertMatmulParams {
  ConstRows x;
  const int32_t* experts = nullptr;  // [n_pairs]: matrices of the stacks
  int64_t n_pairs = 0;
  int64_t pairs_per_row = 1;   // 1: x has a row for each pair; else one for that many pairs
  int64_t max_per_expert = 0;  // no expert is in more pairs than this
  std::span<const ExpertMatmulOutput> outputs;
};

// y[t, h, o] = sum_i w[h, o, i] * x[t, h, i] for each head h (absorbed latent attention).
struct HeadMatmulParams {
  Weight weight;  // stack of n_heads matrices
  ConstRows x;    // [n_tokens, n_heads * head_stride_x]; head h starts at h * x_head_stride
  int64_t x_head_stride = 0;
  Rows y;
  int64_t y_head_stride = 0;
};

// y[t, :] = the row ids[t] of a table, decoded, times scale.
struct EmbedParams {
  Weight table;  // [n_vocab, width]
  std::span<const int32_t> ids;
  float scale = 1.0F;
  Rows y;
};

// ---- row-wise ops ------------------------------------------------------------------------------

enum class NormKind : uint8_t {
  kRms,
  kLayer,
  kLength,  // x / sqrt(sum of squares + eps): vectors of length 1
};
// Normalises each group of `group` consecutive values of a row on its own (group == width: the
// whole row; group == head size: one norm per head). y may be x.
// Tolerance 1e-6 of the result's scale.
struct NormParams {
  NormKind kind = NormKind::kRms;
  ConstRows x;
  Rows y;
  int64_t group = 0;
  const float* weight = nullptr;  // [weight_size], null: ones
  const float* bias = nullptr;    // same size, null: zeros
  int64_t weight_size = 0;        // group (shared by all groups) or width (each group its own)
  float eps = 1e-5F;
};

// Rotary position embedding, in place, of the dims [first_dim, first_dim + 2 * n_pairs) of every
// head. The angle of pair i at position p is p * frequencies[i]; cos and sin are multiplied by
// magnitude. Pairs lie (i, i + n_pairs) when split, else (2i, 2i + 1). frequency 0: not rotated.
// Frequencies (scaling, factors, sections) are computed by the runtime, once per model.
// cos and sin of the angle are taken in double precision of the float product p * f.
struct RopeParams {
  Rows x;  // [n_tokens, >= n_heads * head_stride]
  int64_t n_heads = 0;
  int64_t head_stride = 0;
  int64_t first_dim = 0;
  int64_t n_pairs = 0;
  bool split_halves = false;
  std::span<const int32_t> positions;  // [n_tokens]
  const float* frequencies = nullptr;  // [n_pairs]
  float magnitude = 1.0F;
};

enum class Activation : uint8_t {
  kNone,
  kSilu,
  kGelu /* tanh form */,
  kGeluErf,
  kGeluQuick,
  kRelu,
  kRelu2,
  kSigmoid,
  kTanh,
  kSoftplus,
  kExp,
  kReciprocal,
};
// y = act(gate) * up, or y = act(gate) when up.data is null. y may be gate or up.
// limit > 0: gate = min(gate, limit), up = clamp(up, -limit, limit) first.
// limit_activated: act(gate) = min(act(gate), limit) instead of that of gate (bailingmoe3).
// swiglu_oai: y = g * sigmoid(alpha * g) * (u + 1) (gpt-oss), with limit.
// gate_cap > 0: y = cap(g, gate_cap) * sigmoid(g) * cap(u, up_cap) with cap(x, c) = c * tanh(x /
// c), and cap(u, 0) = u (kimi-k3); without activation and limit.
struct GatedActivationParams {
  Activation activation = Activation::kSilu;
  ConstRows gate;
  ConstRows up;
  Rows y;
  float limit = 0.0F;
  bool limit_activated = false;
  bool swiglu_oai = false;
  float alpha = 1.702F;
  float gate_cap = 0.0F, up_cap = 0.0F;
};

// y = a * x_scale + y * y_scale, element by element (residuals, scalings, sums).
struct AddParams {
  ConstRows x;
  Rows y;
  float x_scale = 1.0F;
  float y_scale = 1.0F;
};

// y[t, i] = y[t, i] * g(x[t, i / repeat]) with g = activation (gates on attention output). With a
// stride of 0 all rows share one row of factors.
struct MultiplyParams {
  ConstRows x;
  Activation activation = Activation::kNone;
  int64_t repeat = 1;
  Rows y;
};

// In place: x *= row_factor[t] (null: 1) * factor, clamp to [-clamp, clamp] (0: off), then
// soft_cap * tanh(x / soft_cap) (0: off).
struct ScaleParams {
  Rows x;
  float factor = 1.0F;
  const float* row_factor = nullptr;
  float clamp = 0.0F;
  float soft_cap = 0.0F;
};

// y[t, g] = scale * (a . b) of group g of both rows; then sign(y) * sqrt(max(|y|, 1e-6)) if
// signed_root. Tolerance 1e-5 of sum |a b|.
struct GroupDotParams {
  ConstRows a, b;  // [n, n_groups * group]
  int64_t group = 0;
  float scale = 1.0F;
  bool signed_root = false;
  Rows y;  // [n, n_groups]
};

// y[t] = sum_j softmax(scores[t])[j] * x_j[t], where row t of x_j starts at x.data + j * x_step +
// t * x.stride and j runs over scores.width. Tolerance 1e-6.
struct MixRowsParams {
  ConstRows x;  // [n, width], of x_0
  int64_t x_step = 0;
  ConstRows scores;
  Rows y;
};

// A dense feed-forward: products of x (added to nothing), the activation that joins them, and the
// product of what it gives. `activation` reads what `inner` writes, `down` what the activation
// writes: rows apart from x, for the backend's use, in which nothing defined stands afterwards.
struct FeedForwardParams {
  ConstRows x;
  std::span<const MatmulOutput> inner;  // gate, or gate and up: the rows of the activation
  GatedActivationParams activation;
  MatmulOutput down;
};

// ---- attention ---------------------------------------------------------------------------------

// The cache keeps the keys and values of kPageTokens tokens of one layer per page, a tile for each
// kv_head. A tile of keys is [dim][token], so that the scores of many keys come out side by side; a
// tile of values, and of keys that are values too (v_in_k), is [token][dim]. K and V have their own
// type: F32, F16, BF16, or the 8-bit forms.
inline constexpr int64_t kPageTokens = 64;

enum class CacheType : uint8_t { kF32, kF16, kBf16, kFp8E4m3, kInt8 };
// Bytes of the keys or values of one (head, token). Int8 has one float32 scale for it; the
// kPageTokens scales of a tile lie in front.
size_t cache_row_bytes(CacheType type, int64_t dim);

// Where the pages of one sequence lie: token p is number p % kPageTokens of pages[p / kPageTokens].
struct PageTable {
  std::span<std::byte* const> k_pages;  // null: all its tokens are behind the window,
  std::span<std::byte* const> v_pages;  // and the page was given back; never read
};

// Writes rows [first, first + n) of k and v as the tokens at their positions.
struct KvWriteParams {
  ConstRows k;  // [n, n_kv_heads * k_dim]
  ConstRows v;  // [n, n_kv_heads * v_dim]; data null: this cache has no values of its own
  int64_t n_kv_heads = 0, k_dim = 0, v_dim = 0;
  CacheType k_type = CacheType::kF16, v_type = CacheType::kF16;
  PageTable pages{};
  int64_t first_position = 0;
};

// The queries of one sequence: rows of consecutive positions from first_position on, whose keys
// and values have been written already. Streaming softmax over tiles of kPageTokens keys from
// the first visible page on, so no score matrix exists and the order of sums is fixed.
struct AttentionParams {
  ConstRows q;  // [n_tokens, n_heads * k_dim]
  Rows y;       // [n_tokens, n_heads * v_dim]
  int64_t n_heads = 0, n_kv_heads = 0, k_dim = 0, v_dim = 0;
  CacheType k_type = CacheType::kF16, v_type = CacheType::kF16;
  bool v_in_k = false;  // latent attention: the values are the first v_dim dims of the keys
  PageTable pages{};
  int64_t first_position = 0;
  int64_t n_keys = 0;  // keys in the cache (causal: at most first_position + n_tokens)
  bool causal = true;  // false: every query sees all n_keys
  // > 0: key k is visible to query p when p - k < window; not causal: when |p - k| <= window / 2.
  int64_t window = 0;
  int64_t chunk = 0;  // > 0: only keys of the same chunk (p / chunk == k / chunk)
  float scale = 1.0F;
  float soft_cap = 0.0F;                // > 0: score = cap * tanh(score / cap), after scale
  const float* alibi_slopes = nullptr;  // [n_heads]: score -= slope * |p - k|
  const float* sinks = nullptr;         // [n_heads]: one more logit in the denominator
};

// ---- mixture of experts ------------------------------------------------------------------------

enum class RouterKind : uint8_t {
  kSoftmax = 1,
  kSigmoid = 2,
  kSoftmaxAfterTopK = 3,
  kSqrtSoftplus = 4,
};
// Chooses n_used experts per token from the router's logits: probabilities by kind; the choice by
// probability + selection_bias, within the best groups when n_groups > 1 (score of a group: sum of
// its two best); the weight is the unbiased probability, divided by max(sum, 2^-14) when
// normalised, times scale. Ties go to the lower expert. Chosen experts come best first.
struct RouteParams {
  ConstRows logits;  // [n_tokens, n_experts]
  RouterKind kind = RouterKind::kSoftmax;
  const float* selection_bias = nullptr;  // [n_experts]
  int64_t n_used = 0;
  int64_t n_groups = 1, n_groups_used = 1;
  bool select_by_logit = false;
  // > 1 (grovemoe): what is given are the chunks (expert / experts_per_chunk) of the best experts,
  // each with the probability that stands at the chunk's own index.
  int64_t experts_per_chunk = 1;
  bool normalise = false;
  float scale = 1.0F;
  int32_t* experts = nullptr;  // [n_tokens, n_used]
  float* weights = nullptr;    // [n_tokens, n_used]
};
// y[t, :] (+)= sum_j weights[t, j] * x[t * n_used + j, :], in the order of j.
struct CombineExpertsParams {
  ConstRows x;                     // [n_tokens * n_used, width]
  const float* weights = nullptr;  // null: ones
  int64_t n_used = 0;
  Rows y;
  bool accumulate = false;
};

// ---- recurrent mixers --------------------------------------------------------------------------

// Each call takes consecutive tokens of one sequence, and its state: what remains of the tokens
// before them, in float32, all zero at the start. The call leaves there what remains after its last
// row. A token's arithmetic does not depend on the rows around it, so cutting a sequence anywhere
// gives the same bits. Tolerance of all three: 1e-5 of the result's scale.

// Convolution of each channel over time; the last tap meets the present token:
// y[t, c] = bias[c] + sum_j weight[c, j] * x[t - (n_taps - 1 - j) * dilation, c], then SiLU if
// `silu`. The state is the last (n_taps - 1) * dilation rows of x, the oldest first. y may not
// overlap x.
struct CausalConvParams {
  ConstRows x;                    // [n, n_channels]
  Rows y;                         // [n, n_channels]
  const float* weight = nullptr;  // [n_channels, n_taps]
  const float* bias = nullptr;    // [n_channels] or null
  int64_t n_taps = 0;             // at most kMaxConvTaps
  int64_t dilation = 1;
  bool silu = false;
  float* state = nullptr;  // [(n_taps - 1) * dilation, n_channels]
  int64_t state_stride = 0;
};
inline constexpr int64_t kMaxConvTaps = 64;

// Selective state space (Mamba: Gu and Dao 2023; Mamba 2: Dao and Gu 2024; lightning attention is
// the case of constant decay with k, v and q in the places of b, x and c). A head has head_dim rows
// S[r] of n_state values. Token by token, with dt of the head (1 without dt):
//   S[r] = exp(dt * a) * S[r] + dt * x[r] * b;   y[r] = S[r] . c + d * x[r]
// a is one value per head, or one per head and state value. Heads h / (n_heads / n_groups) share a
// group's b and c. y may be x.
struct StateSpaceParams {
  ConstRows x;     // [n, n_heads * head_dim]
  ConstRows dt;    // [n, n_heads], or data null
  ConstRows b, c;  // [n, n_groups * n_state]
  Rows y;          // [n, n_heads * head_dim]
  int64_t n_heads = 0, head_dim = 0, n_groups = 1, n_state = 0;
  const float* a = nullptr;  // [n_heads] or, a_per_state, [n_heads, n_state]
  bool a_per_state = false;
  const float* d = nullptr;  // [n_heads] or null
  float* state = nullptr;    // [n_heads * head_dim, n_state]
};

// Gated delta rule (Yang et al. 2024; with a decay per key dim: Kimi Delta Attention). A head has
// v_dim rows S[j] of k_dim values. Token by token:
//   S[j] = exp(log_decay) * S[j];  S[j] += beta * (v[j] - S[j] . k) * k;  y[j] = scale * S[j] . q
// Value head h reads key head h % n_k_heads (tiled) or h / (n_heads / n_k_heads). y may be v.
struct DeltaRuleParams {
  ConstRows q, k;       // [n, n_k_heads * k_dim]
  ConstRows v;          // [n, n_heads * v_dim]
  ConstRows log_decay;  // [n, n_heads], or per key dim [n, n_heads * k_dim]
  ConstRows beta;       // [n, n_heads]
  Rows y;               // [n, n_heads * v_dim]
  int64_t n_heads = 0, n_k_heads = 0, k_dim = 0, v_dim = 0;  // k_dim at most kMaxDeltaKeyDim
  bool tiled_heads = false;
  float scale = 1.0F;
  float* state = nullptr;  // [n_heads, v_dim, k_dim]
};
inline constexpr int64_t kMaxDeltaKeyDim = 1024;

// The ops of one backend. Calls run to completion (CPU) or are queued in order (a device).
class Ops {
 public:
  virtual ~Ops() = default;
  virtual void matmul(const MatmulParams& params) = 0;
  virtual void expert_matmul(const ExpertMatmulParams& params) = 0;
  virtual void head_matmul(const HeadMatmulParams& params) = 0;
  virtual void embed(const EmbedParams& params) = 0;
  virtual void norm(const NormParams& params) = 0;
  virtual void rope(const RopeParams& params) = 0;
  virtual void gated_activation(const GatedActivationParams& params) = 0;
  // The bits of the three ops one after the other, whichever way a backend computes it.
  virtual void feed_forward(const FeedForwardParams& params) {
    matmul({.x = params.x, .outputs = params.inner});
    gated_activation(params.activation);
    matmul({.x = params.activation.y, .outputs = {&params.down, 1}});
  }
  virtual void add(const AddParams& params) = 0;
  virtual void multiply(const MultiplyParams& params) = 0;
  virtual void scale(const ScaleParams& params) = 0;
  virtual void group_dot(const GroupDotParams& params) = 0;
  virtual void mix_rows(const MixRowsParams& params) = 0;
  // Of several sequences at once: of one layer, so that all but rows, pages and positions agree.
  virtual void kv_write(std::span<const KvWriteParams> sequences) = 0;
  virtual void attention(std::span<const AttentionParams> sequences) = 0;
  void kv_write(const KvWriteParams& params) { kv_write(std::span(&params, 1)); }
  void attention(const AttentionParams& params) { attention(std::span(&params, 1)); }
  virtual void route(const RouteParams& params) = 0;
  virtual void combine_experts(const CombineExpertsParams& params) = 0;
  virtual void causal_conv(const CausalConvParams& params) = 0;
  virtual void state_space(const StateSpaceParams& params) = 0;
  virtual void delta_rule(const DeltaRuleParams& params) = 0;

  // Values that the host has computed, where the ops that follow can read them.
  virtual const float* send(std::span<const float> values) { return values.data(); }
};

}  // namespace llmrun::kernels
