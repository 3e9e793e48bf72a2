// Gemma 3, with or without the eyes, which stay behind. Windowed layers have a rope of their own.
#include "convert/families/gemma.h"
#include "convert/families/rope.h"
#include "convert/families/windows.h"

namespace llmrun::convert {
namespace {

// Turns to the language model of a model that sees; gives what its names begin with when that is
// not the usual: it changed with transformers 5.
std::string leave_out_vision(Conversion& c) {
  if (!c.config().has("text_config")) return {};
  c.use_config(c.config().section("text_config"));
  c.warn("the vision tower is left out: the result reads text only");
  c.drop_beginnings({"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                     "model.multi_modal_projector."});
  if (c.has("model.language_model.embed_tokens.weight")) return "model.language_model.";
  if (c.has("language_model.model.embed_tokens.weight")) c.set_prefix("language_model.");
  return {};
}

void add_gemma3_rope(Conversion& c, const Decoder& d) {
  const Config& config = c.config();
  const Config both = rope_section(config);
  if (!both.has("full_attention")) {
    c.set_number("rope.freq_base", config.number("rope_theta", 1000000.0));
    c.set_integer("rope.dimension_count", d.head_dim);
    add_rope_scaling(c, both, d.head_dim, RopeFactors::kNone);
    c.set_number("rope.freq_base_swa", config.number("rope_local_base_freq", 10000.0));
    return;
  }
  const Config full = both.section("full_attention");
  c.set_number("rope.freq_base", full.number("rope_theta", 1000000.0));
  c.set_integer("rope.dimension_count", d.head_dim);
  add_rope_scaling(c, full, d.head_dim, RopeFactors::kNone);
  const Config windowed = both.section("sliding_attention");
  require_text(windowed, "rope_type", "default");
  c.set_number("rope.freq_base_swa", windowed.number("rope_theta", 10000.0));
}

}  // namespace

void convert_gemma3(Conversion& c) {
  const std::string base = leave_out_vision(c);
  // The language models of those that see leave out what is as in the 4B model.
  Decoder d = start_decoder(c, "gemma3", HeadSizes::kWrite,
                            {.n_heads = 8, .n_kv_heads = 4, .head_dim = 256, .context = 131072});
  if (!base.empty()) d.base = base;
  check_score_scale(c, d, 62);
  require_flag(c.config(), "use_bidirectional_attention", false, false);
  add_windows(c, d, 6);
  if (c.config().has("final_logit_softcapping")) {
    c.set_number("final_logit_softcapping", c.config().number("final_logit_softcapping"));
  }
  if (c.config().has("attn_logit_softcapping")) {
    c.fail(ErrorCode::kUnsupported, "Gemma 3 with attn_logit_softcapping cannot be converted");
  }
  add_gemma3_rope(c, d);
  add_gemma_layers(c, d);
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    add_norm(c, d.layer(i, "self_attn.q_norm"), block(i, "attn_q_norm"), kGemmaNorm);
    add_norm(c, d.layer(i, "self_attn.k_norm"), block(i, "attn_k_norm"), kGemmaNorm);
  }
}

}  // namespace llmrun::convert
