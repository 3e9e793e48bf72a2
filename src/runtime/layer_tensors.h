// The tensors of a spec with the layers they belong to: for those who put layers on devices.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/spec.h"

namespace llmrun::runtime {

inline constexpr int64_t kBeforeLayers = -1;  // the embedding, and what the first layer starts from

// As for_each_tensor(); `layer` is n_layers for what follows the last one.
using LayerTensorVisitor = std::function<void(TensorDecl& tensor, bool is_matrix, int64_t layer)>;
void for_each_layer_tensor(ModelSpec& spec, const LayerTensorVisitor& visit);

}  // namespace llmrun::runtime
