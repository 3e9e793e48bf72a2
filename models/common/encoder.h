// What encoders (BERT and its descendants) have in common beside what decoders are made of, and the
// heads that turn hidden states into vectors and scores.
#pragma once

#include "models/common.h"

namespace llmrun::models {

// Embedding with a norm and token types, no output layer; every token sees the whole text.
ModelSpec encoder(ModelMetadata& m, const NormStyle& style);

// BERT's residuals: each branch is added and then the sum is normalised.
void norms_of_sums(ModelMetadata& m, const NormStyle& style, int64_t layer, LayerSpec& to);

// What any architecture's file may say about embeddings: attention.causal, pooling_type, the dense
// layers after pooling and the classifier of a reranker.
void read_embedding_head(ModelMetadata& m, ModelSpec& spec);

}  // namespace llmrun::models
