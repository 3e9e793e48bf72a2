// The tensors of a spec with the layers they belong to: for those who put layers on devices.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/spec.h"

namespace llmrun::runtime {

inline constexpr int64_t kBeforeLayers = -1;  // the embedding, and what the first layer starts from

// What a tensor is to the model.
struct TensorUse {
  bool is_matrix = false;         // see for_each_tensor()
  bool of_experts = false;        // of a stack of experts, of which a token uses some
  int64_t layer = kBeforeLayers;  // n_layers: what follows the last one
};
using LayerTensorVisitor = std::function<void(TensorDecl& tensor, const TensorUse& use)>;
void for_each_layer_tensor(ModelSpec& spec, const LayerTensorVisitor& visit);

}  // namespace llmrun::runtime
