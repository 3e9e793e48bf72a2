// Gemma 2.
#include "convert/families/gemma.h"
#include "convert/families/rope.h"
#include "convert/families/windows.h"

namespace llmrun::convert {

void convert_gemma2(Conversion& c) {
  const Decoder d = start_decoder(c, "gemma2");
  check_score_scale(c, d, 46);
  add_windows(c, d, 2);
  c.set_number("attn_logit_softcapping", c.config().number("attn_logit_softcapping", 50.0));
  c.set_number("final_logit_softcapping", c.config().number("final_logit_softcapping", 30.0));
  add_rope(c, d.head_dim);
  add_gemma_layers(c, d);
}

}  // namespace llmrun::convert
