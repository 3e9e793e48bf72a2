// Declares the parts of a decoder for the architecture files.
#include "models/common.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmrun::models {

using runtime::Linear;
using runtime::Range;
using runtime::Rope;
using runtime::RopeScaling;
using runtime::TensorDecl;

// ---- tensors -----------------------------------------------------------------------------------

TensorDecl tensor(std::string name, std::vector<int64_t> shape, Presence presence) {
  TensorDecl decl;
  if (presence == Presence::kNever) return decl;
  decl.name = std::move(name);
  decl.shape = std::move(shape);
  decl.required = presence == Presence::kRequired;
  return decl;
}

std::string block(int64_t layer, std::string_view name) {
  return fmt::format("blk.{}.{}", layer, name);
}

Linear linear(const std::string& name, int64_t n_in, int64_t n_out, Presence bias,
              int64_t n_matrices) {
  Linear linear;
  linear.n_in = n_in;
  linear.n_out = n_out;
  linear.n_matrices = n_matrices;
  linear.weight = tensor(name + ".weight", {n_in, n_out, n_matrices});
  linear.bias = tensor(name + ".bias", {n_out, n_matrices}, bias);
  linear.scale = tensor(name + ".scale", {n_matrices}, Presence::kOptional);
  return linear;
}

Linear part_of(const std::string& name, int64_t n_in, int64_t n_rows, int64_t first, int64_t n_out,
               Presence bias) {
  Linear part = linear(name, n_in, n_rows, bias);
  part.n_out = n_out;
  for (TensorDecl* decl : {&part.weight, &part.bias}) {
    decl->first = first;
    decl->count = n_out;
  }
  return part;
}

// ---- norms -------------------------------------------------------------------------------------

NormStyle rms_norm(ModelMetadata& m) {
  return {.kind = runtime::NormKind::kRms,
          .eps = m.required_number("attention.layer_norm_rms_epsilon")};
}

NormStyle layer_norm(ModelMetadata& m, Presence bias) {
  return {.kind = runtime::NormKind::kLayer,
          .eps = m.required_number("attention.layer_norm_epsilon"),
          .bias = bias};
}

Norm norm(const NormStyle& style, const std::string& name, int64_t width) {
  return head_norm(style, name, 1, width);
}

Norm head_norm(const NormStyle& style, const std::string& name, int64_t n_heads, int64_t head_dim,
               bool per_head_weights) {
  Norm norm;
  norm.kind = style.kind;
  norm.group = head_dim;
  norm.weight_size = head_dim;
  norm.eps = style.eps;
  std::vector<int64_t> shape{head_dim};
  if (per_head_weights) {
    shape.push_back(n_heads);
    norm.weight_size = n_heads * head_dim;
  }
  norm.weight = tensor(name + ".weight", shape, style.weight);
  norm.bias = tensor(name + ".bias", shape, style.bias);
  return norm;
}

// ---- positions ---------------------------------------------------------------------------------

namespace {

// YaRN's magnitude of cos and sin; a log multiplier moves part of it into the scores.
double yarn_magnitude(double factor, double log_multiplier) {
  if (factor <= 1.0) return 1.0;
  const double whole = 0.1 * std::log(factor) + 1.0;
  return log_multiplier == 0.0 ? whole : whole / (0.1 * log_multiplier * std::log(factor) + 1.0);
}

void read_scaling(ModelMetadata& m, const RopeOptions& options, Rope& rope) {
  const std::string type = m.text("rope.scaling.type", "linear");
  float factor = m.number("rope.scaling.factor", 0.0F);
  if (factor == 0.0F) factor = m.number("rope.scale_linear", 0.0F);
  rope.magnitude = m.number("rope.scaling.attn_factor", 1.0F);
  if (type == "none") return;
  if (factor < 0.0F) m.fail(ErrorCode::kBadModel, "rope.scaling.factor is negative");
  if (factor > 0.0F) {
    rope.factor = static_cast<double>(factor);
    rope.scaling = RopeScaling::kLinear;
  }
  if (type != "yarn") return;
  rope.scaling = RopeScaling::kYarn;
  double log_multiplier = 0.0;
  if (options.yarn_beta_keys) {
    rope.beta_fast = static_cast<double>(m.number("rope.scaling.yarn_beta_fast", 32.0F));
    rope.beta_slow = static_cast<double>(m.number("rope.scaling.yarn_beta_slow", 1.0F));
    log_multiplier = static_cast<double>(m.number("rope.scaling.yarn_log_multiplier", 0.0F));
  }
  rope.magnitude *= static_cast<float>(yarn_magnitude(rope.factor, log_multiplier));
}

void read_sections(ModelMetadata& m, Rope& rope) {
  const auto sections = m.integers("rope.dimension_sections", {0, runtime::kMaxHeadDim});
  for (size_t i = 0; i < std::min(sections.size(), rope.sections.size()); ++i) {
    rope.sections[i] = sections[i];
  }
}

}  // namespace

Rope rope(ModelMetadata& m, const RopeOptions& options) {
  Rope rope;
  rope.split_halves = options.split_halves;
  rope.n_dims = options.n_dims >= 0 ? options.n_dims : m.rope_dims();
  rope.base =
      options.base > 0.0 ? options.base : static_cast<double>(m.number("rope.freq_base", 10000.0F));
  rope.original_context = m.integer("rope.scaling.original_context_length", m.context_length(),
                                    {0, runtime::kMaxContext});
  if (options.scaled) read_scaling(m, options, rope);
  const int64_t n_pairs = rope.n_dims / 2;
  const auto factor_tensor = [&](const char* name) {
    return tensor(name, {n_pairs}, Presence::kOptional);
  };
  const bool by_type = options.factors == Factors::kByScalingType;
  if (options.factors == Factors::kRopeFreqs || by_type) {
    rope.factors = factor_tensor("rope_freqs.weight");
  }
  if (options.factors == Factors::kLongShort ||
      (by_type && m.text("rope.scaling.type", "linear") == "longrope")) {
    rope.factors_long = factor_tensor("rope_factors_long.weight");
    rope.factors_short = factor_tensor("rope_factors_short.weight");
  }
  rope.section_kind = options.sections;
  if (options.sections != runtime::RopeSections::kNone) read_sections(m, rope);
  return rope;
}

int add_rope(ModelSpec& spec, Rope rope) {
  spec.ropes.push_back(std::move(rope));
  return static_cast<int>(spec.ropes.size()) - 1;
}

int add_rope(ModelMetadata& m, ModelSpec& spec, const RopeOptions& options) {
  return add_rope(spec, rope(m, options));
}

RopeOptions sectioned_rope(ModelMetadata& m) {
  const auto sections = m.integers("rope.dimension_sections", {0, runtime::kMaxHeadDim});
  if (sections.size() < 2 || sections[0] == 0 || sections[1] == 0) return {};
  return {.split_halves = true, .sections = runtime::RopeSections::kCyclic};
}

double window_rope_base(ModelMetadata& m, double fallback) {
  return static_cast<double>(m.number("rope.freq_base_swa", static_cast<float>(fallback)));
}

void learned_positions(ModelMetadata& m, ModelSpec& spec) {
  spec.embedding.positions = tensor("position_embd.weight", {m.d_model(), m.context_length()});
  spec.max_positions = m.context_length();
}

int64_t window_size(ModelMetadata& m, int64_t fallback) {
  return m.integer("attention.sliding_window", fallback, {0, runtime::kMaxContext});
}

int64_t required_window(ModelMetadata& m) {
  return m.required_integer("attention.sliding_window", {0, runtime::kMaxContext});
}

WindowPattern::WindowPattern(ModelMetadata& m, int64_t window, int64_t period, Full full)
    : window_(window), period_(period), full_(full) {
  constexpr const char* kKey = "attention.sliding_window_pattern";
  if (!m.is_array(kKey)) {
    period_ = m.integer(kKey, period, {0, runtime::kMaxLayers});
    return;
  }
  flags_ = m.integers(kKey, {0, INT32_MAX});
  if (flags_.size() < static_cast<size_t>(m.n_layers())) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("{} has {} flags for {} layers", kKey, flags_.size(), m.n_layers()));
    flags_.clear();
  }
}

int64_t WindowPattern::window(int64_t layer) const {
  if (!flags_.empty()) return flags_[static_cast<size_t>(layer)] != 0 ? window_ : 0;
  if (period_ == 0) return window_;
  const int64_t at = layer % period_;
  const bool full = full_ == Full::kLast ? at == period_ - 1 : at == 0;
  return full ? 0 : window_;
}

// ---- blocks ------------------------------------------------------------------------------------

namespace {

// q, k and v as three Linears, wherever their rows lie.
void declare_qkv(ModelMetadata& m, int64_t layer, Presence bias, runtime::Attention& mixer) {
  const int64_t d = m.d_model();
  const int64_t n_q = mixer.n_heads * mixer.k_dim;
  const int64_t n_k = mixer.n_kv_heads * mixer.k_dim;
  const int64_t n_v = mixer.n_kv_heads * mixer.v_dim;
  const std::string fused = block(layer, "attn_qkv");
  mixer.q = linear(block(layer, "attn_q"), d, n_q, bias);
  mixer.k = linear(block(layer, "attn_k"), d, n_k, bias);
  mixer.v = linear(block(layer, "attn_v"), d, n_v, bias);
  if (!m.has_tensor(fused + ".weight")) return;
  const int64_t n_all = n_q + n_k + n_v;
  const bool split_biases = !m.has_tensor(fused + ".bias");
  int64_t first = 0;
  for (Linear* part : {&mixer.q, &mixer.k, &mixer.v}) {
    TensorDecl own_bias = std::move(part->bias);
    *part = part_of(fused, d, n_all, first, part->n_out, bias);
    if (split_biases) part->bias = std::move(own_bias);
    first += part->n_out;
  }
}

void declare_qk_norm(ModelMetadata& m, int64_t layer, QkNorm kind, runtime::Attention& mixer) {
  if (kind == QkNorm::kNone) return;
  const NormStyle style = rms_norm(m);
  const bool row = kind == QkNorm::kRow;
  mixer.q_norm =
      norm(style, block(layer, "attn_q_norm"), row ? mixer.n_heads * mixer.k_dim : mixer.k_dim);
  mixer.k_norm =
      norm(style, block(layer, "attn_k_norm"), row ? mixer.n_kv_heads * mixer.k_dim : mixer.k_dim);
  mixer.qk_norm_after_rope = kind == QkNorm::kHeadAfterRope;
}

// A dense feed-forward whose tensors are ffn_gate<suffix>, ffn_up<suffix>, ffn_down<suffix>.
runtime::DenseFfn named_ffn(ModelMetadata& m, int64_t layer, std::string_view suffix, int64_t n_ff,
                            const DenseOptions& options) {
  const int64_t d = m.d_model();
  const auto name = [&](std::string_view part) {
    return block(layer, fmt::format("ffn_{}{}", part, suffix));
  };
  runtime::DenseFfn ffn;
  ffn.activation = options.activation;
  if (n_ff < 1) {
    m.fail(ErrorCode::kBadModel, fmt::format("the feed-forward of layer {} has no width ({}."
                                             "feed_forward_length)",
                                             layer, m.architecture()));
    n_ff = 1;
  }
  ffn.down = linear(name("down"), n_ff, d, options.bias);
  if (options.fused_up) {
    ffn.gate = part_of(name("up"), d, 2 * n_ff, 0, n_ff, options.bias);
    ffn.up = part_of(name("up"), d, 2 * n_ff, n_ff, n_ff, options.bias);
    return ffn;
  }
  if (options.gated) ffn.gate = linear(name("gate"), d, n_ff, options.bias);
  ffn.up = linear(name("up"), d, n_ff, options.bias);
  return ffn;
}

void read_groups(ModelMetadata& m, runtime::MoeFfn& ffn) {
  ffn.n_groups = std::max(int64_t{1}, m.integer("expert_group_count", 0, {0, ffn.n_experts}));
  if (ffn.n_groups == 1) return;
  ffn.n_groups_used = m.integer("expert_group_used_count", ffn.n_groups, {1, ffn.n_groups});
  const int64_t per_group = ffn.n_experts / ffn.n_groups;
  if (ffn.n_experts % ffn.n_groups != 0 || ffn.n_groups_used * per_group < ffn.n_used) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("{} experts in {} groups, of which {} are used, cannot give {} experts",
                       ffn.n_experts, ffn.n_groups, ffn.n_groups_used, ffn.n_used));
  }
}

}  // namespace

runtime::Attention attention(ModelMetadata& m, int64_t layer, const AttentionOptions& options) {
  runtime::Attention mixer;
  mixer.n_heads = m.n_heads(layer);
  mixer.n_kv_heads = m.n_kv_heads(layer);
  if (mixer.n_heads < 1 || mixer.n_kv_heads < 1) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} query heads and {} key heads ({}.attention.head_count, "
                       "head_count_kv); each needs at least one",
                       layer, mixer.n_heads, mixer.n_kv_heads, m.architecture()));
    mixer.n_heads = mixer.n_kv_heads = 1;
  }
  mixer.k_dim = options.head_dim > 0 ? options.head_dim : m.k_dim();
  mixer.v_dim = options.head_dim > 0 ? options.head_dim : m.v_dim();
  declare_qkv(m, layer, options.bias, mixer);
  declare_qk_norm(m, layer, options.qk_norm, mixer);
  mixer.out = linear(block(layer, "attn_output"), mixer.n_heads * mixer.v_dim, m.d_model(),
                     options.out_bias);
  mixer.rope = options.rope;
  mixer.scale =
      options.scale != 0.0F ? options.scale : 1.0F / std::sqrt(static_cast<float>(mixer.k_dim));
  mixer.soft_cap = options.soft_cap;
  mixer.window = options.window;
  return mixer;
}

float scale_by_width(ModelMetadata& m, int64_t layer) {
  const int64_t n_heads = std::max(int64_t{1}, m.n_heads(layer));
  return 1.0F / std::sqrt(static_cast<float>(m.d_model() / n_heads));
}

runtime::LatentAttention latent_attention(ModelMetadata& m, int64_t layer,
                                          const LatentOptions& options) {
  const Range head_dims{1, runtime::kMaxHeadDim};
  const bool absorbed = m.has("attention.key_length_mla");
  const int64_t k_dim =
      absorbed ? m.required_integer("attention.key_length_mla", head_dims) : m.k_dim();
  const int64_t d = m.d_model();
  runtime::LatentAttention mixer;
  mixer.n_heads = m.n_heads(layer);
  mixer.v_dim = absorbed ? m.required_integer("attention.value_length_mla", head_dims) : m.v_dim();
  mixer.kv_rank = m.required_integer("attention.kv_lora_rank", {1, runtime::kMaxWidth});
  mixer.rope_dim = m.rope_dims();
  mixer.nope_dim = k_dim - mixer.rope_dim;
  if (mixer.n_heads < 1 || mixer.nope_dim < (absorbed ? 1 : 0) || mixer.rope_dim < 1) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} heads whose keys have {} dims, {} of them rotated; that "
                       "is no latent attention",
                       layer, mixer.n_heads, k_dim, mixer.rope_dim));
    mixer.n_heads = mixer.nope_dim = mixer.rope_dim = 1;
  }
  const NormStyle style = rms_norm(m);
  const int64_t q_width = mixer.n_heads * (mixer.nope_dim + mixer.rope_dim);
  if (m.has_tensor(block(layer, "attn_q_a.weight"))) {
    const int64_t rank = m.required_integer("attention.q_lora_rank", {1, runtime::kMaxWidth});
    mixer.q_a = linear(block(layer, "attn_q_a"), d, rank);
    mixer.q_a_norm = norm(style, block(layer, "attn_q_a_norm"), rank);
    mixer.q_b = linear(block(layer, "attn_q_b"), rank, q_width);
  } else {
    mixer.q = linear(block(layer, "attn_q"), d, q_width);
  }
  mixer.kv_a = linear(block(layer, "attn_kv_a_mqa"), d, mixer.kv_rank + mixer.rope_dim);
  mixer.kv_a_norm = norm(style, block(layer, "attn_kv_a_norm"), mixer.kv_rank);
  if (absorbed) {
    mixer.k_b = linear(block(layer, "attn_k_b"), mixer.nope_dim, mixer.kv_rank, Presence::kNever,
                       mixer.n_heads);
    mixer.v_b = linear(block(layer, "attn_v_b"), mixer.kv_rank, mixer.v_dim, Presence::kNever,
                       mixer.n_heads);
  } else {
    mixer.kv_b = linear(block(layer, "attn_kv_b"), mixer.kv_rank,
                        mixer.n_heads * (mixer.nope_dim + mixer.v_dim));
  }
  mixer.out = linear(block(layer, "attn_output"), mixer.n_heads * mixer.v_dim, d);
  mixer.rope = options.rope;
  mixer.scale = options.score_magnitude * options.score_magnitude /
                std::sqrt(static_cast<float>(mixer.nope_dim + mixer.rope_dim));
  mixer.temperature = options.temperature;
  return mixer;
}

runtime::DenseFfn dense_ffn(ModelMetadata& m, int64_t layer, const DenseOptions& options) {
  return named_ffn(m, layer, "", options.n_ff > 0 ? options.n_ff : m.n_ff(layer), options);
}

runtime::MoeFfn moe_ffn(ModelMetadata& m, int64_t layer, const MoeOptions& options) {
  const int64_t d = m.d_model();
  runtime::MoeFfn ffn;
  ffn.n_experts = std::max(int64_t{1}, m.n_experts());
  ffn.n_used = std::max(int64_t{1}, m.n_experts_used(layer));
  ffn.n_ff = options.n_ff > 0 ? options.n_ff : m.n_ff(layer);
  if (m.n_experts() < 1 || ffn.n_ff < 1) {
    m.fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} experts of width {} ({}.expert_count, "
                       "expert_feed_forward_length); both must be positive",
                       layer, m.n_experts(), ffn.n_ff, m.architecture()));
    ffn.n_ff = 1;
  }
  const auto experts = [&](const char* name, int64_t n_in, int64_t n_out) {
    return linear(block(layer, name), n_in, n_out, options.biases, ffn.n_experts);
  };
  ffn.router = linear(block(layer, "ffn_gate_inp"), d, ffn.n_experts, options.biases);
  ffn.router_kind = options.router;
  ffn.selection_bias =
      tensor(block(layer, "exp_probs_b.bias"), {ffn.n_experts}, options.selection_bias);
  read_groups(m, ffn);
  ffn.normalise = options.normalise;
  ffn.scale = options.scale;
  ffn.activation = options.activation;
  if (m.has_tensor(block(layer, "ffn_gate_up_exps.weight"))) {
    ffn.gate_up = experts("ffn_gate_up_exps", d, 2 * ffn.n_ff);
  } else {
    ffn.gate = experts("ffn_gate_exps", d, ffn.n_ff);
    ffn.gate.weight.required = options.gate == Presence::kRequired;
    ffn.up = experts("ffn_up_exps", d, ffn.n_ff);
  }
  ffn.down = experts("ffn_down_exps", ffn.n_ff, d);
  if (options.shared_ff > 0) {
    ffn.shared =
        named_ffn(m, layer, "_shexp", options.shared_ff, {.activation = options.activation});
    if (options.shared_gate) ffn.shared_gate = linear(block(layer, "ffn_gate_inp_shexp"), d, 1);
  }
  return ffn;
}

runtime::Ffn dense_or_moe(ModelMetadata& m, int64_t layer, const DenseOptions& dense,
                          const MoeOptions& moe) {
  if (m.n_experts() > 0) return moe_ffn(m, layer, moe);
  return dense_ffn(m, layer, dense);
}

int64_t expert_width(ModelMetadata& m, int64_t layer) {
  const auto widths = m.per_layer("expert_feed_forward_length", 0, kWidths);
  const int64_t width = widths[static_cast<size_t>(layer)];
  return width > 0 ? width : m.n_ff(layer) / std::max(int64_t{1}, m.n_experts_used(layer));
}

float expert_scale(ModelMetadata& m) { return one_if_zero(m.number("expert_weights_scale", 0.0F)); }

RouterKind router_kind(ModelMetadata& m, RouterKind fallback) {
  return static_cast<RouterKind>(
      m.integer("expert_gating_func", static_cast<int64_t>(fallback), {1, 4}));
}

// ---- the whole ---------------------------------------------------------------------------------

ModelSpec decoder(ModelMetadata& m, const NormStyle& final_norm, const DecoderOptions& options) {
  ModelSpec spec;
  spec.architecture = m.architecture();
  spec.name = m.name();
  spec.n_vocab = m.n_vocab();
  spec.d_model = m.d_model();
  spec.context_length = m.context_length();
  spec.embedding.table = tensor("token_embd.weight", {spec.d_model, spec.n_vocab});
  spec.head.norm = norm(final_norm, "output_norm", spec.d_model);
  spec.head.tied = options.tie == Tie::kAlways ||
                   (options.tie == Tie::kIfAbsent && !m.has_tensor("output.weight"));
  spec.head.output = linear(spec.head.tied ? "token_embd" : "output", spec.d_model, spec.n_vocab);
  spec.head.output.bias = tensor("output.bias", {spec.n_vocab}, options.output_bias);
  return spec;
}

void for_each_layer(ModelMetadata& m, ModelSpec& spec,
                    const std::function<void(int64_t, LayerSpec&)>& fill) {
  for (int64_t i = 0; i < m.n_layers() && m.ok(); ++i) fill(i, spec.layers.emplace_back());
}

void pre_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.mixer_norm = norm(style, block(layer, "attn_norm"), m.d_model());
  to.ffn_norm = norm(style, block(layer, "ffn_norm"), m.d_model());
}

void post_norms(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.mixer_post_norm = norm(style, block(layer, "post_attention_norm"), m.d_model());
  to.ffn_post_norm = norm(style, block(layer, "post_ffw_norm"), m.d_model());
}

void parallel_norm(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.residual = runtime::Residual::kParallel;
  to.mixer_norm = norm(style, block(layer, "attn_norm"), m.d_model());
}

}  // namespace llmrun::models
