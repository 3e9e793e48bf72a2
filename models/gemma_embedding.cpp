// EmbeddingGemma: Gemma 3 whose tokens see the whole text, windows to both sides, no output layer.
#include "models/common/encoder.h"

namespace llmrun::models {

ModelSpec build_gemma3(ModelMetadata& m);

ModelSpec build_gemma_embedding(ModelMetadata& m) {
  ModelSpec spec = build_gemma3(m);
  spec.causal = false;
  spec.head.output = {};
  spec.head.soft_cap = 0.0F;
  return spec;
}

}  // namespace llmrun::models
