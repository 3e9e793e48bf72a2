// Qwen 2 and 2.5.
#include "convert/families/common.h"
#include "convert/families/rope.h"
#include "convert/families/windows.h"

namespace llmrun::convert {

void convert_qwen2(Conversion& c) {
  const Decoder d = start_decoder(c, "qwen2");
  require_text(c.config(), "hidden_act", "silu");
  // The class has a window that is switched off unless told otherwise.
  if (c.config().flag("use_sliding_window", false)) leave_out_window(c);
  add_frame(c, d);
  add_rope(c, d.head_dim);
  rename_layers(c, d.n_layers, d.layers(),
                {{"input_layernorm", "attn_norm"},
                 {"self_attn.q_proj", "attn_q"},
                 {"self_attn.k_proj", "attn_k"},
                 {"self_attn.v_proj", "attn_v"},
                 {"self_attn.o_proj", "attn_output"},
                 {"post_attention_layernorm", "ffn_norm"},
                 {"mlp.gate_proj", "ffn_gate"},
                 {"mlp.up_proj", "ffn_up"},
                 {"mlp.down_proj", "ffn_down"}});
}

}  // namespace llmrun::convert
