// BERT and (XLM-)RoBERTa encoders, for embeddings and, with a classifier, for ranking. Layer norms
// come after the branches.
#include "base/error.h"
#include "convert/families/common.h"

namespace llmrun::convert {
namespace {

constexpr uint32_t kRank = 4;  // the format's pooling_type

struct Encoder {
  int64_t n_layers = 0;
  int64_t d_model = 0;
  bool is_roberta = false;
};

bool is_ranker(const Config& config) {
  const auto classes = config.texts("architectures");
  return !classes.empty() && classes.front().ends_with("ForSequenceClassification");
}

Encoder start_encoder(Conversion& c) {
  const Config& config = c.config();
  c.set_architecture("bert");
  Encoder e;
  e.n_layers = config.integer("num_hidden_layers", {1, kMaxLayers});
  e.d_model = config.integer("hidden_size", kWidths);
  e.is_roberta = config.text("model_type", "bert").ends_with("roberta");
  c.set_integer("block_count", e.n_layers);
  c.set_integer("embedding_length", e.d_model);
  c.set_integer("feed_forward_length", config.integer("intermediate_size", kWidths));
  c.set_integer("attention.head_count", config.integer("num_attention_heads", {1, kMaxHeads}));
  c.set_number("attention.layer_norm_epsilon", config.number("layer_norm_eps", 1e-12));
  c.set("attention.causal", false);
  c.writer().add_metadata(
      "tokenizer.ggml.token_type_count",
      static_cast<uint32_t>(config.integer("type_vocab_size", 2, {1, kMaxTokenIds})));
  require_text(config, "position_embedding_type", "absolute");
  require_text(config, "hidden_act", "gelu");
  return e;
}

// RoBERTa counts positions from the one after the padding token's id; GGUF from 0.
void add_positions(Conversion& c, const Encoder& e) {
  const Config& config = c.config();
  const int64_t n_rows = config.integer("max_position_embeddings", {1, kMaxPositions});
  const int64_t first = e.is_roberta ? 1 + config.integer("pad_token_id", 1, {0, 64}) : 0;
  Rows rows = c.take("embeddings.position_embeddings.weight", {n_rows, e.d_model});
  if (first >= n_rows) c.fail(ErrorCode::kBadModel, "max_position_embeddings is too small");
  if (!c.ok()) return;
  c.set_integer("context_length", n_rows - first);
  c.add("position_embd.weight", part_of(std::move(rows), first, n_rows - first),
        Precision::kFloat32);
}

// The classifier lies outside the encoder's names.
void add_classifier(Conversion& c, const Encoder& e, const std::string& prefix) {
  c.set("pooling_type", kRank);
  c.set_prefix("");
  c.rename(e.is_roberta ? "classifier.dense" : prefix + "pooler.dense", "cls");
  c.rename(e.is_roberta ? "classifier.out_proj" : "classifier", "cls.output");
}

}  // namespace

void convert_bert(Conversion& c) {
  const Encoder e = start_encoder(c);
  std::string prefix = e.is_roberta ? "roberta." : "bert.";
  if (!c.has(prefix + "embeddings.word_embeddings.weight")) prefix.clear();
  c.set_prefix(prefix);
  c.rename("embeddings.word_embeddings", "token_embd");
  add_positions(c, e);
  c.rename("embeddings.token_type_embeddings", "token_types", Precision::kFloat32);
  c.rename("embeddings.LayerNorm", "token_embd_norm");
  rename_layers(c, e.n_layers, "encoder.layer",
                {{"attention.self.query", "attn_q"},
                 {"attention.self.key", "attn_k"},
                 {"attention.self.value", "attn_v"},
                 {"attention.output.dense", "attn_output"},
                 {"attention.output.LayerNorm", "attn_output_norm"},
                 {"intermediate.dense", "ffn_up"},
                 {"output.dense", "ffn_down"},
                 {"output.LayerNorm", "layer_output_norm"}});
  c.drop_endings({"embeddings.position_ids"});
  if (is_ranker(c.config())) return add_classifier(c, e, prefix);
  // Heads of pre-training and classification.
  c.drop_beginnings({"pooler.", "bert.pooler.", "roberta.pooler.", "cls.", "lm_head."});
}

}  // namespace llmrun::convert
