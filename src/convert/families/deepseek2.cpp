// DeepSeek V2, V3 and R1: latent attention, whose up-projection of keys and values is split in two
// (keys transposed) so that readers can multiply in the compressed space; experts with a shared
// one.
#include <cmath>

#include "base/error.h"
#include "convert/families/common.h"
#include "convert/families/rope.h"

namespace llmrun::convert {
namespace {

struct Latent {
  int64_t kv_rank = 0;
  int64_t rope_dim = 0;
  int64_t nope_dim = 0;
  int64_t v_dim = 0;
};

Latent add_latent_sizes(Conversion& c) {
  const Config& config = c.config();
  Latent l;
  l.kv_rank = config.integer("kv_lora_rank", kWidths);
  l.rope_dim = config.integer("qk_rope_head_dim", kWidths);
  l.nope_dim = config.integer("qk_nope_head_dim", kWidths);
  l.v_dim = config.integer("v_head_dim", kWidths);
  if (config.has("q_lora_rank")) {
    c.set_integer("attention.q_lora_rank", config.integer("q_lora_rank", kWidths));
  }
  c.set_integer("attention.kv_lora_rank", l.kv_rank);
  // The cache holds one head, of the compressed values and the rotated part.
  c.set_integer("attention.head_count_kv", 1);
  c.set_integer("attention.key_length", l.kv_rank + l.rope_dim);
  c.set_integer("attention.value_length", l.kv_rank);
  c.set_integer("attention.key_length_mla", l.nope_dim + l.rope_dim);
  c.set_integer("attention.value_length_mla", l.v_dim);
  return l;
}

// Here GGUF counts YaRN's magnitude through rope.scaling.yarn_log_multiplier, a tenth of
// mscale_all_dim; cos and sin then keep magnitude 1, which is what mscale = mscale_all_dim means.
void add_latent_rope(Conversion& c, const Latent& l) {
  const Config section = rope_section(c.config());
  c.set_number("rope.freq_base", rope_base(c.config()));
  c.set_integer("rope.dimension_count", l.rope_dim);
  require_flag(c.config(), "rope_interleave", true, true);
  const double all = section.number("mscale_all_dim", 0.0);
  if (rope_type(section) != "yarn" || all == 0.0) {
    add_rope_scaling(c, section, l.rope_dim, RopeFactors::kNone);
    return;
  }
  if (std::abs(section.number("mscale", 1.0) - all) > 1e-9 || section.has("attention_factor")) {
    c.fail(ErrorCode::kUnsupported,
           "YaRN with an mscale that differs from mscale_all_dim cannot be converted");
  }
  c.set("rope.scaling.type", "yarn");
  c.set_number("rope.scaling.factor", section.number("factor"));
  c.set_integer("rope.scaling.original_context_length",
                section.integer("original_max_position_embeddings", {1, kMaxPositions}));
  c.set_number("rope.scaling.yarn_log_multiplier", 0.1 * all);
}

struct Experts {
  int64_t n_experts = 0;
  int64_t width = 0;
  int64_t n_shared = 0;
  int64_t n_dense = 0;  // layers before the first with experts
};

// V3 chooses among groups by their two best experts, as readers do; V2 by the best one.
void add_groups(Conversion& c, bool is_v3) {
  const int64_t n_groups = c.config().integer("n_group", 1, {1, kMaxExperts});
  if (n_groups < 2) return;
  if (!is_v3 && c.config().text("topk_method", "greedy") == "greedy") return;
  if (!is_v3) {
    return c.fail(ErrorCode::kUnsupported,
                  "experts chosen by the best of each group (topk_method group_limited_greedy) "
                  "cannot be converted: GGUF has no key for it");
  }
  c.set_integer("expert_group_count", n_groups);
  c.set_integer("expert_group_used_count", c.config().integer("topk_group", {1, n_groups}));
}

Experts add_expert_sizes(Conversion& c, const Decoder& d) {
  const Config& config = c.config();
  Experts e;
  e.n_experts = config.integer("n_routed_experts", {1, kMaxExperts});
  e.width = config.integer("moe_intermediate_size", kWidths);
  e.n_shared = config.integer("n_shared_experts", 0, {0, kMaxExperts});
  e.n_dense = config.integer("first_k_dense_replace", 0, {0, d.n_layers});
  const bool is_v3 = config.text("model_type", "") == "deepseek_v3";
  const bool sigmoid = config.text("scoring_func", is_v3 ? "sigmoid" : "softmax") == "sigmoid";
  require_integer(config, "moe_layer_freq", 1);
  c.set_integer("leading_dense_block_count", e.n_dense);
  c.set_integer("expert_count", e.n_experts);
  c.set_integer("expert_used_count", config.integer("num_experts_per_tok", {1, e.n_experts}));
  c.set_integer("expert_feed_forward_length", e.width);
  c.set_integer("expert_shared_count", e.n_shared);
  c.set_number("expert_weights_scale", config.number("routed_scaling_factor", 1.0));
  // V2's own code has never normalised.
  c.set("expert_weights_norm", is_v3 && config.flag("norm_topk_prob", true));
  c.set_integer("expert_gating_func", sigmoid ? 2 : 1);
  add_groups(c, is_v3);
  return e;
}

void add_attention(Conversion& c, const Decoder& d, const Latent& l, int64_t i) {
  c.rename_if_there(d.layer(i, "self_attn.q_proj"), block(i, "attn_q"));
  c.rename_if_there(d.layer(i, "self_attn.q_a_proj"), block(i, "attn_q_a"));
  c.rename_if_there(d.layer(i, "self_attn.q_a_layernorm"), block(i, "attn_q_a_norm"));
  c.rename_if_there(d.layer(i, "self_attn.q_b_proj"), block(i, "attn_q_b"));
  c.rename(d.layer(i, "self_attn.kv_a_proj_with_mqa"), block(i, "attn_kv_a_mqa"));
  c.rename(d.layer(i, "self_attn.kv_a_layernorm"), block(i, "attn_kv_a_norm"));
  c.rename(d.layer(i, "self_attn.o_proj"), block(i, "attn_output"));
  // Each head has nope_dim rows of keys, then v_dim rows of values.
  const int64_t per_head = l.nope_dim + l.v_dim;
  const Rows up =
      c.take(d.layer(i, "self_attn.kv_b_proj.weight"), {d.n_heads * per_head, l.kv_rank});
  if (!c.ok()) return;
  const auto heads = [&](int64_t first, int64_t n) {
    Rows part = reordered(up, [=](int64_t row) { return row / n * per_head + first + row % n; });
    return reshaped(std::move(part), {d.n_heads, n, l.kv_rank});
  };
  c.add(block(i, "attn_k_b.weight"), transposed(heads(0, l.nope_dim)));
  c.add(block(i, "attn_v_b.weight"), heads(l.nope_dim, l.v_dim));
}

void add_mlp(Conversion& c, const std::string& from, int64_t i, const std::string& suffix) {
  for (const char* part : {"gate", "up", "down"}) {
    c.rename(fmt::format("{}.{}_proj", from, part),
             block(i, fmt::format("ffn_{}{}", part, suffix)));
  }
}

void add_experts(Conversion& c, const Decoder& d, const Experts& e, int64_t i) {
  c.rename(d.layer(i, "mlp.gate"), block(i, "ffn_gate_inp"), Precision::kFloat32);
  const std::string bias = d.layer(i, "mlp.gate.e_score_correction_bias");
  if (c.has(bias)) c.add(block(i, "exp_probs_b.bias"), c.take(bias, {e.n_experts}));
  if (e.n_shared > 0) add_mlp(c, d.layer(i, "mlp.shared_experts"), i, "_shexp");
  const std::string from = d.layer(i, "mlp.experts");
  const std::vector<int64_t> up{e.width, d.d_model};
  stack_experts(c, e.n_experts, from, "gate_proj", block(i, "ffn_gate_exps"), up);
  stack_experts(c, e.n_experts, from, "up_proj", block(i, "ffn_up_exps"), up);
  stack_experts(c, e.n_experts, from, "down_proj", block(i, "ffn_down_exps"), {d.d_model, e.width});
}

}  // namespace

void convert_deepseek2(Conversion& c) {
  const Decoder d = start_decoder(c, "deepseek2", HeadSizes::kLeaveOut);
  require_text(c.config(), "hidden_act", "silu");
  const Latent latent = add_latent_sizes(c);
  const Experts experts = add_expert_sizes(c, d);
  add_latent_rope(c, latent);
  // The layers after the last predict further tokens and are not run.
  const int64_t n_draft = c.config().integer("num_nextn_predict_layers", 0, {0, 16});
  for (int64_t i = d.n_layers; i < d.n_layers + n_draft; ++i) c.drop_beginnings({d.layer(i, "")});
  add_frame(c, d);
  rename_layers(c, d.n_layers, d.layers(),
                {{"input_layernorm", "attn_norm"}, {"post_attention_layernorm", "ffn_norm"}});
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    add_attention(c, d, latent, i);
    if (i < experts.n_dense) {
      add_mlp(c, d.layer(i, "mlp"), i, "");
    } else {
      add_experts(c, d, experts, i);
    }
  }
}

}  // namespace llmrun::convert
