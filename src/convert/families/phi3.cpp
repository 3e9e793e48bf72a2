// Phi 3, 3.5 and 4: fused projections keep their order.
#include "convert/families/common.h"
#include "convert/families/rope.h"
#include "convert/families/windows.h"

namespace llmrun::convert {

void convert_phi3(Conversion& c) {
  const Decoder d = start_decoder(c, "phi3");
  const Config& config = c.config();
  require_text(config, "hidden_act", "silu");
  const double share = rope_section(config).number("partial_rotary_factor",
                                                   config.number("partial_rotary_factor", 1.0));
  if (!(share > 0.0 && share <= 1.0)) {
    c.fail(ErrorCode::kBadModel, "partial_rotary_factor is not within 0 and 1");
  }
  leave_out_window(c);
  add_frame(c, d);
  add_rope(c, static_cast<int64_t>(static_cast<double>(d.head_dim) * share),
           RopeFactors::kLongShort);
  rename_layers(c, d.n_layers, d.layers(),
                {{"input_layernorm", "attn_norm"},
                 {"self_attn.qkv_proj", "attn_qkv"},
                 {"self_attn.o_proj", "attn_output"},
                 {"post_attention_layernorm", "ffn_norm"},
                 {"mlp.gate_up_proj", "ffn_up"},
                 {"mlp.down_proj", "ffn_down"}});
}

}  // namespace llmrun::convert
