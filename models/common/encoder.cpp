// Declares the parts of encoders.
#include "models/common/encoder.h"

#include <algorithm>

namespace llmrun::models {
namespace {

// A linear layer whose output width only the tensor tells; not declared when there is no tensor.
runtime::Linear linear_in_file(const ModelMetadata& m, const std::string& name, int64_t n_in) {
  if (!m.has_tensor(name + ".weight")) return {};
  const int64_t n_out =
      std::clamp(m.tensor_dim(name + ".weight", 1), int64_t{1}, runtime::kMaxWidth);
  return linear(name, n_in, n_out, Presence::kOptional);
}

void read_classifier(ModelMetadata& m, runtime::Classifier& classifier) {
  const bool has_output = m.has_tensor("cls.output.weight");
  // A single layer is the output itself.
  if (!has_output) {
    classifier.output = linear_in_file(m, "cls", m.d_model());
    return;
  }
  classifier.dense = linear_in_file(m, "cls", m.d_model());
  const int64_t width = classifier.dense.declared() ? classifier.dense.n_out : m.d_model();
  classifier.output = linear_in_file(m, "cls.output", width);
  if (m.has_tensor("cls.norm.weight")) {
    classifier.norm = norm(layer_norm(m, Presence::kOptional), "cls.norm", width);
  }
}

}  // namespace

ModelSpec encoder(ModelMetadata& m, const NormStyle& style) {
  ModelSpec spec = decoder(m, style);
  spec.causal = false;
  spec.head.norm.reset();
  spec.head.output = {};
  spec.embedding.norm = norm(style, "token_embd_norm", m.d_model());
  const int64_t n_types = m.tensor_dim("token_types.weight", 1);
  if (n_types == 0) return spec;
  spec.embedding.token_types = tensor("token_types.weight", {m.d_model(), n_types});
  return spec;
}

void norms_of_sums(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to) {
  to.residual = runtime::Residual::kPostNorm;
  to.mixer_post_norm = norm(style, block(layer, "attn_output_norm"), m.d_model());
  to.ffn_post_norm = norm(style, block(layer, "layer_output_norm"), m.d_model());
}

void read_embedding_head(ModelMetadata& m, ModelSpec& spec) {
  spec.causal = m.boolean("attention.causal", spec.causal);
  runtime::EmbeddingHead& head = spec.embedding_head;
  if (m.has("pooling_type")) {
    head.pooling = static_cast<Pooling>(m.integer("pooling_type", 0, {0, 4}));
  }
  int64_t width = m.d_model();
  for (const char* name : {"dense_2", "dense_3"}) {
    runtime::Linear dense = linear_in_file(m, name, width);
    if (!dense.declared()) break;
    width = dense.n_out;
    head.dense.push_back(std::move(dense));
  }
  read_classifier(m, head.classifier);
}

}  // namespace llmrun::models
