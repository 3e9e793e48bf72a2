// What architecture files are made of: tensor declarations by GGUF name, norms, ropes, attention,
// feed-forward. Each helper declares the tensors of one part of the model with their shapes; the
// options say how an architecture departs from the plain decoder (interleaved rope, RMS norm before
// mixer and feed-forward, no biases, scale 1/sqrt(head size), SwiGLU).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "runtime/model_metadata.h"
#include "runtime/spec.h"

namespace llmrun::models {

using runtime::Activation;
using runtime::LayerSpec;
using runtime::ModelMetadata;
using runtime::ModelSpec;
using runtime::Norm;
using runtime::RouterKind;

inline constexpr runtime::Range kWidths{0, runtime::kMaxWidth};
// Multipliers of which 0 means "none".
inline float one_if_zero(float scale) { return scale == 0.0F ? 1.0F : scale; }

// kNever: the model has no such tensor, and ignores one that is in the file.
enum class Presence : uint8_t { kNever, kOptional, kRequired };

// ---- tensors -----------------------------------------------------------------------------------

runtime::TensorDecl tensor(std::string name, std::vector<int64_t> shape,
                           Presence presence = Presence::kRequired);
// "blk.3.attn_q"
std::string block(int64_t layer, std::string_view name);
// name.weight, name.bias and (NVFP4 files) name.scale; n_matrices > 1: a stack.
runtime::Linear linear(const std::string& name, int64_t n_in, int64_t n_out,
                       Presence bias = Presence::kNever, int64_t n_matrices = 1);
// Rows [first, first + n_out) of a fused tensor of n_rows rows.
runtime::Linear part_of(const std::string& name, int64_t n_in, int64_t n_rows, int64_t first,
                        int64_t n_out, Presence bias = Presence::kNever);

// ---- norms -------------------------------------------------------------------------------------

struct NormStyle {
  runtime::NormKind kind = runtime::NormKind::kRms;
  float eps = 0.0F;
  Presence bias = Presence::kNever;
  Presence weight = Presence::kRequired;
};
// eps comes from attention.layer_norm_rms_epsilon or attention.layer_norm_epsilon, which must be
// there.
NormStyle rms_norm(ModelMetadata& m);
NormStyle layer_norm(ModelMetadata& m, Presence bias);
// Of rows of `width` values.
Norm norm(const NormStyle& style, const std::string& name, int64_t width);
// Of each head, with weights shared by all heads or (per_head_weights) each its own.
Norm head_norm(const NormStyle& style, const std::string& name, int64_t n_heads, int64_t head_dim,
               bool per_head_weights = false);

// ---- positions ---------------------------------------------------------------------------------

enum class Factors : uint8_t {
  kNone,
  kRopeFreqs,      // rope_freqs.weight, when it is there
  kLongShort,      // rope_factors_long/short, when they are there
  kByScalingType,  // the latter with rope.scaling.type longrope; rope_freqs wins
};
struct RopeOptions {
  bool split_halves = false;
  Factors factors = Factors::kNone;
  int64_t n_dims = -1;          // -1: rope.dimension_count
  double base = 0.0;            // 0: rope.freq_base (10000)
  bool scaled = true;           // false: the rope.scaling keys do not apply
  bool yarn_beta_keys = false;  // yarn_beta_fast, yarn_beta_slow and yarn_log_multiplier are read
  runtime::RopeSections sections = runtime::RopeSections::kNone;
};
runtime::Rope rope(ModelMetadata& m, const RopeOptions& options);
// Adds it to the spec; the index is what attention() wants.
int add_rope(ModelSpec& spec, runtime::Rope rope);
int add_rope(ModelMetadata& m, ModelSpec& spec, const RopeOptions& options);

// Interleaved pairs; but halves with sections when rope.dimension_sections names at least two.
RopeOptions sectioned_rope(ModelMetadata& m);
// rope.freq_base_swa, the base of layers with a window.
double window_rope_base(ModelMetadata& m, double fallback);
// position_embd.weight, one row per position up to context_length.
void learned_positions(ModelMetadata& m, ModelSpec& spec);

// attention.sliding_window; 0: none.
int64_t window_size(ModelMetadata& m, int64_t fallback);
int64_t required_window(ModelMetadata& m);
// Which layers have the sliding window of attention.sliding_window.
class WindowPattern {
 public:
  enum class Full : uint8_t { kLast, kFirst };  // the full layer of every period
  // attention.sliding_window_pattern: one flag per layer, or a period n of which the last (or the
  // first) layer is full; 0: none is. `period` is used when there is no key.
  WindowPattern(ModelMetadata& m, int64_t window, int64_t period, Full full = Full::kLast);
  // The window of a layer in tokens; 0: it sees everything.
  [[nodiscard]] int64_t window(int64_t layer) const;
  [[nodiscard]] bool windowed(int64_t layer) const { return window(layer) > 0; }

 private:
  int64_t window_;
  int64_t period_;
  Full full_;
  std::vector<int64_t> flags_;
};

// ---- blocks ------------------------------------------------------------------------------------

enum class QkNorm : uint8_t {
  kNone,
  kHead,           // rms over each head, one weight for all heads
  kHeadAfterRope,  // the same, after the rotation
  kRow,            // rms over the whole row of queries, of keys
};
struct AttentionOptions {
  int rope = runtime::kNoRope;
  Presence bias = Presence::kOptional;  // of q, k and v
  Presence out_bias = Presence::kNever;
  QkNorm qk_norm = QkNorm::kNone;
  float scale = 0.0F;  // 0: 1/sqrt(head size)
  float soft_cap = 0.0F;
  int64_t window = 0;
  int64_t head_dim = 0;  // of keys and values; 0: attention.key_length, attention.value_length
};
// Grouped-query attention from attn_q, attn_k, attn_v or a fused attn_qkv, and attn_output.
runtime::Attention attention(ModelMetadata& m, int64_t layer, const AttentionOptions& options);

// 1/sqrt(d_model / n_heads), which some models use although their heads are of another size.
float scale_by_width(ModelMetadata& m, int64_t layer);

struct LatentOptions {
  int rope = runtime::kNoRope;
  float score_magnitude = 1.0F;  // scores are multiplied by its square
  runtime::QueryTemperature temperature;
};
// Latent attention; the queries are compressed when the file has attn_q_a, the products absorbed
// when it gives attention.key_length_mla.
runtime::LatentAttention latent_attention(ModelMetadata& m, int64_t layer,
                                          const LatentOptions& options);

struct DenseOptions {
  Activation activation = Activation::kSilu;
  bool gated = true;
  bool fused_up = false;  // ffn_up holds gate and up, in this order
  Presence bias = Presence::kNever;
  int64_t n_ff = 0;  // 0: feed_forward_length
};
runtime::DenseFfn dense_ffn(ModelMetadata& m, int64_t layer, const DenseOptions& options = {});

struct MoeOptions {
  int64_t n_ff = 0;  // width of one expert; 0: feed_forward_length
  RouterKind router = RouterKind::kSoftmax;
  bool normalise = true;
  float scale = 1.0F;
  Presence gate = Presence::kRequired;  // optional: experts without it are not gated
  Presence selection_bias = Presence::kNever;
  Presence biases = Presence::kNever;  // of router and experts
  Activation activation = Activation::kSilu;
  int64_t shared_ff = 0;  // width of the shared expert; 0: none
  bool shared_gate = false;
};
runtime::MoeFfn moe_ffn(ModelMetadata& m, int64_t layer, const MoeOptions& options);
// moe_ffn when the model has experts (in every layer), else dense_ffn.
runtime::Ffn dense_or_moe(ModelMetadata& m, int64_t layer, const DenseOptions& dense,
                          const MoeOptions& moe);
// expert_feed_forward_length; without it the dense width is divided among the experts used.
int64_t expert_width(ModelMetadata& m, int64_t layer);
// expert_weights_scale, of which 0 and 1 both mean none.
float expert_scale(ModelMetadata& m);
// expert_gating_func.
RouterKind router_kind(ModelMetadata& m, RouterKind fallback);

// ---- the whole ---------------------------------------------------------------------------------

enum class Tie : uint8_t { kIfAbsent, kNever, kAlways };
struct DecoderOptions {
  Tie tie = Tie::kIfAbsent;
  Presence output_bias = Presence::kNever;
};
// Embedding and head; the layers come from for_each_layer().
ModelSpec decoder(ModelMetadata& m, const NormStyle& final_norm,
                  const DecoderOptions& options = {});
// Calls fill(i, layer) for every layer and keeps the result. Stops at the first error.
void for_each_layer(ModelMetadata& m, ModelSpec& spec,
                    const std::function<void(int64_t, LayerSpec&)>& fill);
// Gives the layer attn_norm and ffn_norm.
void pre_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);
// Gives the layer post_attention_norm and post_ffw_norm.
void post_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);
// Makes the branches parallel; both read attn_norm.
void parallel_norm(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);

}  // namespace llmrun::models
