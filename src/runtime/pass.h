// What the blocks of one forward pass share: the model, the ops, scratch memory and the batch.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "kernels/backend.h"
#include "kernels/gatherer.h"
#include "runtime/arena.h"
#include "runtime/device_turns.h"
#include "runtime/kv_cache.h"
#include "runtime/recurrent_state.h"
#include "runtime/spec.h"
#include "runtime/weights.h"

namespace llmrun::runtime {

using kernels::ConstRows;
using kernels::Rows;

// Tables computed once per model: angles per rope (the second set for contexts longer than the
// original one) and slopes per layer (of ALiBi, or the rates of lightning attention; null: none).
// They lie in backend memory.
struct PositionTables {
  std::unique_ptr<kernels::Buffer> buffer;
  std::vector<const float*> frequencies;       // [ropes.size()]
  std::vector<const float*> long_frequencies;  // [ropes.size()]
  std::vector<const float*> slopes;            // [layers.size()]
};
Result<PositionTables> make_position_tables(const ModelSpec& spec, const Weights& weights,
                                            kernels::Backend& backend);

// The rows of the batch that belong to one sequence.
struct PassChunk {
  SequenceId sequence = 0;
  int64_t first_row = 0;
  int64_t n_rows = 0;
  int64_t first_position = 0;
  int64_t first_logits_row = 0;  // among the rows of logits
  int64_t n_logits_rows = 0;     // of the chunk's last rows
};

// One forward pass. The memory plan runs it too: with ops that do nothing, an arena that only
// measures and no chunks, so what it finds is what the real pass takes.
struct Pass {
  const ModelSpec& spec;
  const Weights& weights;
  std::span<const float* const> frequencies;  // per rope, for this context's length
  std::span<const float* const> slopes;       // per layer
  kernels::Ops& ops;
  Arena& arena;              // backend memory
  Arena& host;               // memory the host writes: ids, positions, expert pairs
  KvCache* cache = nullptr;  // null when measuring
  const RecurrentStates* states = nullptr;
  DeviceTurns* turns = nullptr;  // null: all layers are on one device
  // Devices that share every layer run a pass each, and meet where their parts are added up.
  size_t share = 0;
  size_t n_shares = 1;
  kernels::Gatherer* gatherer = nullptr;  // null when measuring, and with one share
  kernels::CacheType k_type = kernels::CacheType::kF16;
  kernels::CacheType v_type = kernels::CacheType::kF16;
  int64_t n_tokens = 0;
  std::span<const PassChunk> chunks{};
  std::span<const int32_t> ids{};          // [n_tokens]
  std::span<const int32_t> positions{};    // [n_tokens]
  std::span<const int32_t> token_types{};  // [n_tokens]; 1: the second text of a pair
  size_t layer = 0;                        // the one being run
  // The residual stream before the layer's mixer; only where reads_layer_input().
  Rows layer_input{};

  [[nodiscard]] bool measuring() const { return cache == nullptr; }
};

// Rows [first, first + n) of `rows`.
inline Rows slice(const Rows& rows, int64_t first, int64_t n) {
  return {rows.data + first * rows.stride, n, rows.width, rows.stride};
}
inline ConstRows slice(const ConstRows& rows, int64_t first, int64_t n) {
  return {rows.data + first * rows.stride, n, rows.width, rows.stride};
}
// Columns [first, first + width) of `rows`.
inline Rows columns(const Rows& rows, int64_t first, int64_t width) {
  return {rows.data + first, rows.n, width, rows.stride};
}
// Every row cut into `n` rows of `width` values that lie `stride` apart, from `first` on. The rows
// must lie side by side (stride * n == rows.stride).
inline Rows split_heads(const Rows& rows, int64_t n, int64_t first, int64_t width) {
  return {rows.data + first, rows.n * n, width, rows.stride / n};
}

// ---- steps that several blocks take ------------------------------------------------------------

struct Product {
  const Linear& linear;
  Rows y;
  bool add = false;
};
// The product as ops take it, without what adapters add.
kernels::MatmulOutput output_of(const Pass& pass, const Product& product);
// y = linear(x), or y += linear(x), for up to four linears that read the same x.
void project(Pass& pass, ConstRows x, std::span<const Product> products);
inline void project(Pass& pass, ConstRows x, std::initializer_list<Product> products) {
  project(pass, x, std::span(products.begin(), products.size()));
}
// What adapters add to a product that was computed: y += …
void add_low_rank(Pass& pass, const TensorDecl& weight, ConstRows x, Rows y);
// To rows looked up in a table, which were multiplied by `scale`.
void add_low_rank_rows(Pass& pass, const TensorDecl& table, float scale, Rows y);
// The experts of each token of a batch, as the router chose them.
struct Choice {
  int32_t* experts = nullptr;  // [n_tokens, n_used]
  float* weights = nullptr;    // the same
  int64_t n_used = 0;
  int64_t max_per_expert = 0;  // tokens that can have the same one, counted as often as they do
};
// The products of a stack for all pairs of a token and its expert; own_rows: x has a row for each
// pair, else one for each token.
kernels::ExpertMatmulParams expert_products(const Choice& choice, ConstRows x, bool own_rows,
                                            std::span<const kernels::ExpertMatmulOutput> outputs);
// To such products.
void add_low_rank_experts(Pass& pass, const TensorDecl& weight, const Choice& choice, ConstRows x,
                          bool own_rows, Rows y);
void apply_norm(Pass& pass, const Norm& norm, ConstRows x, Rows y);
void copy_rows(Pass& pass, ConstRows x, Rows y);
// The activation of a dense feed-forward or of experts, without its rows.
template <typename FeedForward>
kernels::GatedActivationParams gated_form(const FeedForward& ffn) {
  kernels::GatedActivationParams params;
  params.activation = ffn.activation;
  params.limit = ffn.limit;
  params.limit_activated = ffn.form.limit_activated;
  params.gate_cap = ffn.form.gate_cap;
  params.up_cap = ffn.form.up_cap;
  return params;
}
// x = activation(x)
void activate(Pass& pass, Activation activation, Rows x);
// y *= activation(gate)
void gate_rows(Pass& pass, Activation activation, ConstRows gate, Rows y);
// Rotates dims [first_dim, first_dim + rope.n_dims) of every head in place; does nothing for
// kNoRope.
void apply_rope(Pass& pass, int rope, Rows x, int64_t n_heads, int64_t first_dim);
void apply_temperature(Pass& pass, const QueryTemperature& temperature, Rows q);
void apply_gate(Pass& pass, const OutputGate& gate, ConstRows x, Rows heads);
// y *= factors, which every row shares; each serves as many values side by side as y has for it.
// Does nothing for a tensor that the model has not.
void apply_factors(Pass& pass, const TensorDecl& factors, Rows y);
void apply_divisors(Pass& pass, const TensorDecl& divisors, Rows y);

// Writes the keys and values of every sequence, then lets its queries look at them. The parameters
// are those of the whole batch; what differs from sequence to sequence is filled in here.
void attend(Pass& pass, const kernels::KvWriteParams& write,
            const kernels::AttentionParams& attention);
// y = linear(x), with the parts of every group gathered: part i gets y[i].width / n_groups columns
// of each group.
void project_grouped(Pass& pass, const GroupedLinear& grouped, ConstRows x,
                     std::initializer_list<Rows> parts);
// y = conv(x) for the tokens of every sequence, whose windows hold these channels from
// `first_channel` on.
void convolve(Pass& pass, const Convolution& conv, int64_t first_channel, bool silu, Rows x,
              Rows y);

// ---- blocks: y = block(x), or with `add` y += block(x) -----------------------------------------

void run_attention(Pass& pass, const Attention& mixer, ConstRows x, Rows y, bool add);
void run_latent_attention(Pass& pass, const LatentAttention& mixer, ConstRows x, Rows y, bool add);
void run_short_conv(Pass& pass, const ShortConv& mixer, ConstRows x, Rows y);
void run_state_space(Pass& pass, const StateSpace& mixer, ConstRows x, Rows y);
void run_lightning_attention(Pass& pass, const LightningAttention& mixer, ConstRows x, Rows y);
void run_delta_net(Pass& pass, const DeltaNet& mixer, ConstRows x, Rows y);
// What the layer begins with: adds to each of the n_streams of x, [n_tokens, n_streams * d_model].
void add_ngram_embedding(Pass& pass, const NgramEmbedding& ngram, Rows x);
void run_dense_ffn(Pass& pass, const DenseFfn& ffn, ConstRows x, Rows y, bool add);
void run_moe_ffn(Pass& pass, const MoeFfn& ffn, ConstRows x, Rows y);

// The block that a layer has; false: it has none. `add` is only for blocks that adds_itself().
bool run_mixer(Pass& pass, const Mixer& mixer, ConstRows x, Rows y, bool add = false);
bool run_ffn(Pass& pass, const Ffn& ffn, ConstRows x, Rows y, bool add = false);
// Whether the block ends in one product, which can add to the residual stream itself. The bits are
// those of a sum made afterwards.
bool adds_itself(const Mixer& mixer);
bool adds_itself(const Ffn& ffn);

// ---- other residual streams: all layers --------------------------------------------------------

// x is the embedding, then what the head reads, which is on the device of the last layer.
void run_banked_layers(Pass& pass, Rows& x);
void run_hyper_layers(Pass& pass, Rows& x);

// ---- the pass ----------------------------------------------------------------------------------

// Embeds the tokens and runs all layers; the residual stream [n_tokens, d_model].
Rows run_layers(Pass& pass);
// From that to `logits`, which has a row for each row the chunks want.
void run_head(Pass& pass, Rows x, Rows logits);
// Runs the whole model; `logits` has a row for each row the chunks want.
void run_forward(Pass& pass, Rows logits);
// The same up to the hidden states, from which one row per chunk is made (kNone: one per token):
// y is [rows, pooled_width()].
void run_pooled(Pass& pass, Pooling pooling, Rows y);

}  // namespace llmrun::runtime
