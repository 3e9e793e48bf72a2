// Qwen 3.
#include "convert/families/common.h"
#include "convert/families/rope.h"

namespace llmrun::convert {

void convert_qwen3(Conversion& c) {
  const Decoder d = start_decoder(c, "qwen3");
  require_text(c.config(), "hidden_act", "silu");
  require_flag(c.config(), "use_sliding_window", false, false);
  add_frame(c, d);
  add_rope(c, d.head_dim);
  rename_attention(c, d, QkNorms::kHeads);
  rename_gated_ffn(c, d);
}

}  // namespace llmrun::convert
