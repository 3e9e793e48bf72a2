// A model as data. An architecture file (models/<name>.cpp) turns GGUF metadata into a ModelSpec;
// the load check, the binding, the memory plan, `show` and the forward pass all read the same
// spec. It contains no arithmetic and no bytes of the file.
//
// Values named in comments are those seen in the architectures this was designed from. What a
// model does not use stays at the default, which is always "off".
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernels/ops.h"
#include "llmrun/embedding_options.h"
#include "llmrun/message.h"

namespace llmrun::runtime {

using kernels::Activation;
using kernels::NormKind;
using kernels::RouterKind;

// ---- tensors -----------------------------------------------------------------------------------

// A tensor the model wants from the file.
struct TensorDecl {
  std::string name;            // "blk.0.attn_q.weight"; empty: the model has no such tensor
  std::vector<int64_t> shape;  // of the tensor in the file, input dimension first
  bool required = true;
  // Of a fused tensor only [first, first + count) of the last dimension; count 0: all of it.
  int64_t first = 0;
  int64_t count = 0;
  // Of every row only the values [first_value, first_value + n_values); n_values 0: all of them.
  int64_t first_value = 0;
  int64_t n_values = 0;
  int32_t slot = -1;  // where the bound tensor is (set by bind; -1: absent)

  [[nodiscard]] bool declared() const { return !name.empty(); }
};

// y = scale * W x + bias. A matrix, or a stack of n_matrices of them (experts, heads). Parts of a
// fused tensor (attn_qkv; gate and up in ffn_up) are Linears of their own that name the same
// tensor with another `first`, so nothing past the spec knows of fusing.
struct Linear {
  TensorDecl weight;  // [n_in, n_out] or [n_in, n_out, n_matrices]
  TensorDecl bias;    // [n_out] or [n_out, n_matrices]
  TensorDecl scale;   // [1] or [n_matrices]: NVFP4 files carry one factor per product
  int64_t n_in = 0;
  int64_t n_out = 0;
  int64_t n_matrices = 1;

  [[nodiscard]] bool declared() const { return weight.declared(); }
};

// Normalises groups of `group` values: the whole row (blocks, olmo2's q and k) or each head.
struct Norm {
  NormKind kind = NormKind::kRms;
  TensorDecl weight;  // not declared: none (olmo, llama4's q and k)
  TensorDecl bias;
  int64_t group = 0;
  int64_t weight_size = 0;  // group, or the row's width when every head has its own weights
  float eps = 1e-5F;
};

// ---- positions ---------------------------------------------------------------------------------

enum class RopeScaling : uint8_t { kNone, kLinear, kYarn };
// Which pairs follow which of the four position components. In text the first three components are
// the position and the fourth is 0, so pairs of the fourth section do not rotate.
enum class RopeSections : uint8_t {
  kNone,
  kCyclic,       // pair i: the section that holds i mod (sum of sections)  (qwen2vl, glm4)
  kInterleaved,  // i mod 3 chooses among the first three                   (qwen3vl, qwen35)
};

// One kind of rotary embedding; layers name it by its index in ModelSpec::ropes.
struct Rope {
  bool split_halves = false;  // pairs (i, i + n/2) ("neox"); else (2i, 2i + 1)
  int64_t n_dims = 0;         // rotated dims of a head; the rest pass
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1.0;  // angles are divided by it (YaRN: those of the slow pairs)
  int64_t original_context = 0;
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  float magnitude = 1.0F;    // of cos and sin
  TensorDecl factors;        // rope_freqs [n_dims / 2]: angles are divided by them
  TensorDecl factors_long;   // used when the context is opened longer than original_context,
  TensorDecl factors_short;  // and else these
  RopeSections section_kind = RopeSections::kNone;
  std::array<int64_t, 4> sections{};  // in pairs
};
inline constexpr int kNoRope = -1;

// q *= 1 + scale * ln(1 + floor((position + offset) / length)); scale 0: off.
struct QueryTemperature {
  float scale = 0.0F;
  int64_t length = 1;
  int64_t offset = 0;  // 1: llama4
};

// ---- mixers ------------------------------------------------------------------------------------

// Multiplies the heads' output, before the output projection, by activation(W x).
struct OutputGate {
  Linear linear;  // to n_heads (one factor per head) or n_heads * v_dim values
  Activation activation = Activation::kSigmoid;  // laguna: kSoftplus
};

struct Attention {
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t k_dim = 0;  // of one head, queries too
  int64_t v_dim = 0;
  Linear q, k, v, out;
  std::optional<Norm> q_norm, k_norm;
  bool qk_norm_after_rope = false;  // hunyuan, maincoder
  int rope = kNoRope;
  float scale = 1.0F;              // of the scores: 1/sqrt(k_dim); granite: a key
  float soft_cap = 0.0F;           // gemma2: 50
  int64_t window = 0;              // keys a query sees, itself included; 0: all. Not causal: half
                                   // of it to either side
  int64_t chunk = 0;               // llama4: 8192
  float clamp_qkv = 0.0F;          // dbrx, olmo, mpt
  float alibi_max_bias = 0.0F;     // bloom, refact: 8
  float out_scale = 1.0F;          // mimo2: after the output projection
  TensorDecl sinks;                // gpt-oss: [n_heads] logits that only enlarge the denominator
  TensorDecl query_gains;          // talkie: [n_heads] factors of the normalised queries
  QueryTemperature temperature;    // mistral3, llama4
  std::optional<OutputGate> gate;  // afmoe, laguna
  // q goes to [query | gate] of every head; sigmoid(gate) multiplies the heads' output (qwen3next).
  bool gate_in_q = false;
};

// Multi-head latent attention (DeepSeek-V2). Keys and values of all heads come from one vector c
// of kv_rank values; the cache holds [c | k_rope] once per token when k_b and v_b are declared
// (the products with them are absorbed into query and output), and plain keys and values of every
// head when the file has the older kv_b.
struct LatentAttention {
  int64_t n_heads = 0;
  int64_t kv_rank = 0;
  int64_t nope_dim = 0;  // key dims without rotation
  int64_t rope_dim = 0;  // key dims with rotation, shared by all heads
  int64_t v_dim = 0;
  Linear q;  // to n_heads * (nope_dim + rope_dim), when not compressed
  Linear q_a, q_b;
  std::optional<Norm> q_a_norm;
  Linear kv_a;  // to [c | k_rope]
  std::optional<Norm> kv_a_norm;
  Linear k_b, v_b;  // stacks of n_heads: [nope_dim -> kv_rank], [kv_rank -> v_dim]
  Linear kv_b;      // to n_heads * (nope_dim + v_dim)
  Linear out;
  int rope = kNoRope;
  float scale = 1.0F;
  QueryTemperature temperature;
  std::optional<OutputGate> gate;

  [[nodiscard]] bool absorbed() const { return k_b.declared(); }
};

// Absent (deci's attention-free layers; the ffn-only layers of nemotron_h).
struct NoMixer {};

// One matrix in the place of attention (deci).
struct LinearMixer {
  Linear out;
};

// ---- recurrent mixers: their state lies beside the KV pages ------------------------------------

// Of each channel over the tokens; the last tap meets the present one.
struct Convolution {
  TensorDecl weight;  // [n_taps, n_channels]
  TensorDecl bias;    // [n_channels]
  int64_t n_taps = 0;
  int64_t n_channels = 0;
};

// One product whose rows lie in n_groups groups: in each the rows of every part, in order. So some
// files interleave, head by head, what others keep in tensors of their own.
struct GroupedLinear {
  Linear linear;
  int64_t n_groups = 1;

  [[nodiscard]] bool declared() const { return linear.declared(); }
};

// Gated short convolution (LFM2): out(c * conv(b * u)).
struct ShortConv {
  Linear b, c, u;
  Convolution conv;
  Linear out;
};

// Mamba: out(norm(scan(silu(conv x)) * silu(z))), with a state of n_state values for each of the
// n_heads * head_dim channels. b, c and dt of the scan come out of the convolution beside x
// (Mamba 2), or are computed from the convolved x (Mamba 1, whose heads are one channel; plamo2).
struct StateSpace {
  int64_t n_heads = 0;
  int64_t head_dim = 0;
  int64_t n_groups = 1;  // heads of a group share b and c
  int64_t n_state = 0;
  Linear z, x;       // x: to the channels of the convolution
  GroupedLinear zx;  // instead: per head [z | x] (plamo2)
  Convolution conv;  // of x, or of [x | b | c]
  Linear b, c;       // of the convolved x; not declared: b and c are there already
  Linear dt_low;
  std::optional<Norm> b_norm, c_norm, dt_norm;
  Linear dt;     // of dt_low, or of the block's input; softplus follows
  TensorDecl a;  // logarithm of the decay per unit of dt: [n_heads] or [n_state, n_heads]
  bool a_per_state = false;
  TensorDecl d;                  // [n_heads]
  std::optional<Norm> out_norm;  // of each group
  Linear out;
};

// Lightning attention (MiniMax-01): linear attention whose heads forget at fixed rates.
struct LightningAttention {
  int64_t n_heads = 0;
  int64_t head_dim = 0;
  GroupedLinear qkv;         // per head [q | k | v]; SiLU follows
  float slope_scale = 1.0F;  // of the rates; see lightning_slopes()
  std::optional<Norm> norm;  // of all heads together
  std::optional<OutputGate> gate;
  Linear out;
};

enum class DecayForm : uint8_t {
  kSoftplus,  // log decay = a * softplus(w x + bias)
  kBounded,   // log decay = bound * sigmoid(a * (w x + bias))
};
// Gated delta net (Qwen3-Next) and Kimi Delta Attention: out(norm(delta_rule(q, k, v)) * gate),
// with q, k and v convolved, and q and k of length 1.
struct DeltaNet {
  int64_t n_heads = 0;    // of values
  int64_t n_k_heads = 0;  // of queries and keys
  int64_t k_dim = 0;
  int64_t v_dim = 0;
  bool tiled_heads = false;  // value head h reads key head h mod n_k_heads; else neighbours share
  Linear q, k, v;
  GroupedLinear qkvz;  // instead of q, k, v and gate: per key head [q | k | v | z] (qwen3next)
  Convolution q_conv, k_conv, v_conv;
  Linear beta, decay;        // decay: to n_heads values, or to n_heads * k_dim (KDA)
  Linear decay_low;          // what decay reads; not declared: the block's input
  GroupedLinear beta_decay;  // instead of both: per key head [beta | decay] (qwen3next)
  TensorDecl decay_bias;     // of beta_decay's second part
  DecayForm decay_form = DecayForm::kSoftplus;
  TensorDecl a;         // [n_heads]
  float a_sign = 1.0F;  // kimi-k3's bounded form: -1
  float decay_bound = 0.0F;
  float length_eps = 0.0F;  // of the lengths of q and k
  float scale = 1.0F;       // of q
  std::optional<Norm> out_norm;
  Linear gate_low, gate;  // gate reads gate_low, or the block's input
  Activation gate_activation = Activation::kSilu;
  Linear out;

  [[nodiscard]] int64_t n_decays() const { return decay.declared() ? decay.n_out : n_heads; }
};

using Mixer = std::variant<NoMixer, LinearMixer, Attention, LatentAttention, ShortConv, StateSpace,
                           LightningAttention, DeltaNet>;

// ---- feed-forward ------------------------------------------------------------------------------

// How a gated feed-forward departs from activation(gate) * up; see GatedActivationParams.
struct GateForm {
  bool limit_activated = false;  // bailingmoe3
  float gate_cap = 0.0F;         // kimi-k3
  float up_cap = 0.0F;
};

struct DenseFfn {
  Linear gate;      // not declared: down(activation(up x))
  Linear up, down;  // not declared: activation(x), without any product (refact with experts)
  Activation activation = Activation::kSilu;
  float limit = 0.0F;          // clamps gate and up (bailingmoe3, maple)
  TensorDecl hidden_divisors;  // mpt: [n_ff], divide what the activation gives
  GateForm form;
};

// A stack of experts, and how many of them a token takes.
struct Experts {
  int64_t n_used = 0;
  int64_t n_ff = 0;           // width of one expert
  bool weighs_input = false;  // llama4: the weight multiplies what the expert reads
  Linear gate, up, down;      // stacks; gate may be missing
  Linear gate_up;             // instead of gate and up: one product, first half gate
  Activation activation = Activation::kSilu;
  bool swiglu_oai = false;  // gpt-oss
  float limit = 0.0F;
  GateForm form;
};

// grovemoe: every chunk of experts_per_chunk experts has one more, which reads what the chosen
// experts gave. The router's best experts name the chunks; one may come twice.
struct ChunkExperts : Experts {
  int64_t experts_per_chunk = 1;
  float scale = 1.0F;  // of what they add
};

struct MoeFfn : Experts {
  int64_t n_experts = 0;
  Linear router;
  RouterKind router_kind = RouterKind::kSoftmax;
  TensorDecl selection_bias;  // [n_experts]: moves the choice, not the weights
  int64_t n_groups = 1;       // deepseek2: experts are chosen within the best groups
  int64_t n_groups_used = 1;
  bool select_by_logit = false;     // grovemoe, llama4
  bool routes_layer_input = false;  // smallthinker: the router reads the stream before the mixer
  bool normalise = false;
  float scale = 1.0F;
  std::optional<ChunkExperts> chunks;
  // The experts read latent_down(x), and their sum goes through latent_norm and latent_up
  // (nemotron_h_moe, kimi-k3); router and shared expert read x.
  Linear latent_down, latent_up;
  std::optional<Norm> latent_norm;
  std::optional<DenseFfn> shared;  // an expert every token takes, added
  Linear shared_gate;              // qwen2moe: its output times sigmoid(w . x)
  float output_scale = 1.0F;       // of the sum of both (cohere2moe: 0.5; grok: sqrt(0.5))
};

struct NoFfn {};
using Ffn = std::variant<NoFfn, DenseFfn, MoeFfn>;

// ---- the whole ---------------------------------------------------------------------------------

// Residual attention (kimi-k3): what a block reads is not the residual stream x but a mixture of x
// and checkpoints of it, by softmax of the products of each one's direction with `score`; every
// `period` layers x becomes a checkpoint and starts again from the mixer's output.
struct ResidualBank {
  int64_t period = 0;  // 0: ordinary residuals
  float eps = 0.0F;
  Linear output_score;  // [d_model -> 1]; the layers have their own
};

// Hyper-connections (Zhu et al. 2024, in the form of qwen4exp): the residual stream is n_streams
// wide. A block reads, with u = norm(streams), the mean over the streams of
// u * sigmoid(up(silu(down(u) / n_streams))); its output is added to stream c times
// 2 * sigmoid(inject(u)[c] / n_streams).
struct HyperMix {
  Norm norm;  // of each stream, with weights of its own
  Linear down, up;
  Linear inject;  // not declared for the head
};

// A part of the layer's input that comes from hashes of the last `order` tokens (qwen4exp). For
// each n of 2 to `order`, heads_per_order rows of the table are looked up and set side by side.
struct NgramEmbedding {
  TensorDecl table;  // [width, n_rows]
  int64_t width = 0;
  int64_t order = 0;
  int64_t heads_per_order = 0;
  TokenId end = 0;  // an earlier token of this id hides itself and what is before it
  std::vector<int64_t> multipliers;          // [order]
  std::vector<int64_t> offsets, row_counts;  // [(order - 1) * heads_per_order]
  Linear key, value;
  Norm key_norm, query_norm, conv_norm;
  Convolution conv;  // dilated by `order`
};

enum class Residual : uint8_t {
  kSequential,  // x += mixer(norm(x)); x += ffn(norm(x))
  kNormed,      // x = skip_scale * norm(x) + mixer(norm(x)), likewise the ffn (minimax-01)
  // x += mixer(norm(x)) + ffn(norm(x)) with both norms of the same x; without an ffn_norm the
  // feed-forward reads the mixer's normed input.
  kParallel,
  // x = post_norm(x + mixer(x)); x = post_norm(x + ffn(x))  (BERT)
  kPostNorm,
};

// hrm_text: which of the two states the output of a stack of layers replaces.
enum class StackEnd : uint8_t { kNone, kLow, kHigh };

struct LayerSpec {
  std::optional<NgramEmbedding> ngram;
  std::optional<HyperMix> mixer_mix, ffn_mix;  // ModelSpec::n_streams > 1
  Linear mixer_score, ffn_score;               // ModelSpec::bank
  std::optional<Norm> stream_norm;  // of the residual stream itself (nanbeige, between its loops)
  std::optional<Norm> mixer_norm;   // none: the mixer reads x itself (olmo2, exaone4)
  Mixer mixer;
  Mixer second_mixer;                   // reads what mixer reads, and is added as well (falcon-h1)
  std::optional<Norm> mixer_post_norm;  // of the mixer's output, before it is added (gemma2)
  std::optional<Norm> ffn_norm;
  Ffn ffn;
  std::optional<Norm> ffn_post_norm;
  // arctic: one more feed-forward beside the first, which reads the stream before the mixer.
  std::optional<Norm> side_norm;
  Ffn side_ffn;
  Residual residual = Residual::kSequential;
  float branch_scale = 1.0F;        // of what each branch adds (granite, minicpm)
  StackEnd ends = StackEnd::kNone;  // set in the last layer of a stack
  TensorDecl embedding_gain;  // talkie: [1], this times the embedding is added after the layer
  float skip_scale = 1.0F;    // Residual::kNormed
};

// hrm_text: the stream starts every stack of layers as the sum of two states, and replaces one of
// them, normalised, at its end. The high state starts as the embedding and ends as the output.
struct TwoStates {
  TensorDecl initial_low;  // [d_model], the same for every token
  Norm norm;
};

struct Embedding {
  TensorDecl table;          // [d_model, n_vocab]
  float scale = 1.0F;        // gemma: sqrt(d_model); granite: a key
  TensorDecl positions;      // gpt2: learned positions [d_model, n_positions]
  TensorDecl token_types;    // bert: first or second text of a pair [d_model, n_types]
  std::optional<Norm> norm;  // bloom
};

struct Head {
  std::optional<HyperMix> mix;
  std::optional<Norm> norm;
  // [d_model, n_vocab]; names the embedding table when tied; not declared: gives vectors only
  // (bert)
  Linear output;
  // qwen3tts: the output has fewer rows than there are tokens. They belong to the tokens from this
  // one on; the logits of those before are -infinity.
  int64_t first_token = 0;
  bool tied = false;
  float logit_scale = 1.0F;
  float soft_cap = 0.0F;  // gemma2: 30
};

// The score of a pooled vector (rerankers): output(norm(activation(dense x))).
struct Classifier {
  Linear dense;  // not declared: the vector itself goes to `output`
  Activation activation = Activation::kTanh;
  std::optional<Norm> norm;
  Linear output;  // [d, n_labels]; not declared: the model scores nothing
};

// How the hidden states of a text become a vector or a score.
struct EmbeddingHead {
  std::optional<Pooling> pooling;  // what the file recommends
  std::vector<Linear> dense;       // of the pooled vector, one after the other (gemma-embedding)
  Classifier classifier;
};

struct ModelSpec {
  std::string architecture;  // "llama"
  std::string name;          // general.name, for people
  int64_t n_vocab = 0;
  int64_t d_model = 0;
  int64_t context_length = 0;  // what the model was trained for
  int64_t max_positions = 0;   // > 0: positions end there (learned positions); 0: no hard end
  bool causal = true;  // false: every token sees the whole sequence (diffusion models, encoders)
  Embedding embedding;
  ResidualBank bank;
  int64_t n_streams = 1;  // of hyper-connections
  std::vector<Rope> ropes;
  std::vector<LayerSpec> layers;
  std::optional<TwoStates> two_states;
  Head head;
  EmbeddingHead embedding_head;
};

// Calls visit(tensor, is_matrix) for every declared tensor of the spec: matrices are multiplied or
// looked up by row and stay in the file's type, the others are used as float32 vectors.
using TensorVisitor = std::function<void(TensorDecl& tensor, bool is_matrix)>;
void for_each_tensor(ModelSpec& spec, const TensorVisitor& visit);

// Values of one row that pooling gives: of an embedding, or the labels of a classifier.
[[nodiscard]] int64_t pooled_width(const ModelSpec& spec, Pooling pooling);

// What the KV cache keeps of one token in a layer: n_kv_heads rows of k_dim and of v_dim values.
struct KvShape {
  int64_t n_kv_heads = 0;  // 0: nothing
  int64_t k_dim = 0;
  int64_t v_dim = 0;  // 0: the values are part of the keys
};
[[nodiscard]] KvShape kv_shape(const LayerSpec& layer);

// Whether a part of the layer reads the residual stream as it was before the mixer.
[[nodiscard]] bool reads_layer_input(const LayerSpec& layer);

// What a recurrent mixer keeps of a sequence in a layer: the last rows that entered its
// convolutions, and its memory.
struct StateShape {
  int64_t window_rows = 0;
  int64_t window_width = 0;
  int64_t memory = 0;        // values
  int64_t ngram_window = 0;  // values; the rows that entered the convolution of an n-gram embedding
  [[nodiscard]] int64_t n_floats() const {
    return window_rows * window_width + memory + ngram_window;
  }
};
[[nodiscard]] StateShape state_shape(const LayerSpec& layer);
// How many tokens before the present one the layers look up.
[[nodiscard]] int64_t n_tokens_back(const ModelSpec& spec);

}  // namespace llmrun::runtime
