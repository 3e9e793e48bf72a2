// What a tensor does in a model, told by its name: mixes of types go by it.
#pragma once

#include <cstdint>
#include <string_view>

#include "gguf/reader.h"

namespace llmrun::quantize {

enum class Role : uint8_t {
  kAny,  // in rules: every role
  kOutput,
  kEmbedding,
  kQuery,
  kKey,
  kValue,
  kQueryKeyValue,
  kAttentionOutput,
  kFfnDown,
  kFfnGateOrUp,
  kOther,
};

Role role_of(std::string_view tensor_name);
// 12 of "blk.12.attn_v.weight"; -1: none.
int64_t layer_of(std::string_view tensor_name);

// Whether the tensor is a weight matrix that loses little by fewer bits. Vectors, and matrices that
// are small or that everything hangs on (norms, routers, convolutions), are not.
bool may_be_quantised(const gguf::TensorInfo& tensor);

}  // namespace llmrun::quantize
