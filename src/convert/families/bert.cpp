// BERT encoders, for embeddings. Layer norms come after the branches; the pooler head is for
// classification and left out.
#include "convert/families/common.h"

namespace llmrun::convert {

void convert_bert(Conversion& c) {
  const Config& config = c.config();
  c.set_architecture("bert");
  const int64_t n_layers = config.integer("num_hidden_layers", {1, kMaxLayers});
  c.set_integer("block_count", n_layers);
  c.set_integer("context_length", config.integer("max_position_embeddings", {1, kMaxPositions}));
  c.set_integer("embedding_length", config.integer("hidden_size", kWidths));
  c.set_integer("feed_forward_length", config.integer("intermediate_size", kWidths));
  c.set_integer("attention.head_count", config.integer("num_attention_heads", {1, kMaxHeads}));
  c.set_number("attention.layer_norm_epsilon", config.number("layer_norm_eps", 1e-12));
  c.set("attention.causal", false);
  c.writer().add_metadata(
      "tokenizer.ggml.token_type_count",
      static_cast<uint32_t>(config.integer("type_vocab_size", 2, {1, kMaxTokenIds})));
  require_text(config, "position_embedding_type", "absolute");
  require_text(config, "hidden_act", "gelu");

  if (c.has("bert.embeddings.word_embeddings.weight")) c.set_prefix("bert.");
  c.rename("embeddings.word_embeddings", "token_embd");
  c.rename("embeddings.position_embeddings", "position_embd", Precision::kFloat32);
  c.rename("embeddings.token_type_embeddings", "token_types", Precision::kFloat32);
  c.rename("embeddings.LayerNorm", "token_embd_norm");
  rename_layers(c, n_layers, "encoder.layer",
                {{"attention.self.query", "attn_q"},
                 {"attention.self.key", "attn_k"},
                 {"attention.self.value", "attn_v"},
                 {"attention.output.dense", "attn_output"},
                 {"attention.output.LayerNorm", "attn_output_norm"},
                 {"intermediate.dense", "ffn_up"},
                 {"output.dense", "ffn_down"},
                 {"output.LayerNorm", "layer_output_norm"}});
  c.drop_endings({"embeddings.position_ids"});
  c.drop_beginnings({"pooler.", "bert.pooler.", "cls."});
}

}  // namespace llmrun::convert
