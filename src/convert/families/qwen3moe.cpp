// Qwen 3 with experts in every layer.
#include "convert/families/common.h"
#include "convert/families/rope.h"

namespace llmrun::convert {

void convert_qwen3moe(Conversion& c) {
  const Decoder d = start_decoder(c, "qwen3moe");
  const Config& config = c.config();
  require_text(config, "hidden_act", "silu");
  require_flag(config, "use_sliding_window", false, false);
  require_flag(config, "norm_topk_prob", false, true);
  require_integer(config, "decoder_sparse_step", 1);
  if (!config.integers("mlp_only_layers", {0, kMaxLayers}).empty()) {
    c.fail(ErrorCode::kUnsupported, "layers without experts (mlp_only_layers) cannot be converted");
  }
  const int64_t n_experts = config.integer(
      config.has("num_experts") ? "num_experts" : "num_local_experts", {1, kMaxExperts});
  const int64_t width = config.integer("moe_intermediate_size", kWidths);
  c.set_integer("expert_count", n_experts);
  c.set_integer("expert_used_count", config.integer("num_experts_per_tok", {1, n_experts}));
  c.set_integer("expert_feed_forward_length", width);
  add_frame(c, d);
  add_rope(c, d.head_dim);
  rename_attention(c, d, QkNorms::kHeads);
  rename_layers(c, d.n_layers, d.layers(),
                {{"post_attention_layernorm", "ffn_norm"},
                 {"mlp.gate", "ffn_gate_inp", Precision::kFloat32}});
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    const std::string from = d.layer(i, "mlp.experts");
    stack_experts(c, n_experts, from, "gate_proj", block(i, "ffn_gate_exps"), {width, d.d_model});
    stack_experts(c, n_experts, from, "up_proj", block(i, "ffn_up_exps"), {width, d.d_model});
    stack_experts(c, n_experts, from, "down_proj", block(i, "ffn_down_exps"), {d.d_model, width});
  }
}

}  // namespace llmrun::convert
