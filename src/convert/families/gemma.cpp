// The steps that Gemma 2 and 3 share.
#include "convert/families/gemma.h"

#include <cmath>

#include "base/error.h"

namespace llmrun::convert {
void check_score_scale(Conversion& c, const Decoder& d, int64_t odd_layers) {
  const int64_t derived = d.n_layers == odd_layers ? d.d_model / d.n_heads : d.head_dim;
  const double found = c.config().number("query_pre_attn_scalar", static_cast<double>(derived));
  if (std::abs(found - static_cast<double>(derived)) < 1e-6) return;
  c.fail(ErrorCode::kUnsupported,
         fmt::format("query_pre_attn_scalar is {}, where the sizes of the model make it {}; GGUF "
                     "has no key for it",
                     found, derived));
}

void add_gemma_layers(Conversion& c, const Decoder& d) {
  require_text(c.config(), "hidden_activation", "gelu_pytorch_tanh");
  add_frame(c, d, kGemmaNorm);
  constexpr std::pair<std::string_view, std::string_view> kNorms[] = {
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", "post_attention_norm"},
      {"pre_feedforward_layernorm", "ffn_norm"},
      {"post_feedforward_layernorm", "post_ffw_norm"},
  };
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    for (const auto& [from, to] : kNorms) add_norm(c, d.layer(i, from), block(i, to), kGemmaNorm);
  }
  rename_layers(c, d.n_layers, d.layers(),
                {{"self_attn.q_proj", "attn_q"},
                 {"self_attn.k_proj", "attn_k"},
                 {"self_attn.v_proj", "attn_v"},
                 {"self_attn.o_proj", "attn_output"},
                 {"mlp.gate_proj", "ffn_gate"},
                 {"mlp.up_proj", "ffn_up"},
                 {"mlp.down_proj", "ffn_down"}});
}

}  // namespace llmrun::convert
