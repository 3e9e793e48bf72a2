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
  rename_attention(c, d);
  rename_gated_ffn(c, d);
}

}  // namespace llmrun::convert
