// Tensor types: how the values of a tensor are packed into bytes, seen from outside.
//
// The list is kernels/quant/types.def; kernels/quant/<header>.h holds the policy of one type and is
// the only place that knows its bytes. To add a type: write that header, add a line to types.def.
// Code that works on whole rows at leisure (import, export, tests) calls the functions here;
// kernels include the policies and are instantiated per type (rules in kernels/quant/policy.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::quant {

// Values are indices into the list of types.def, without gaps; the ids of GGUF files are in traits.
enum class TensorType : uint8_t {
#define LLMRUN_TENSOR_TYPE(type, id, name, header) type,
#include "kernels/quant/types.def"  // IWYU pragma: keep
#undef LLMRUN_TENSOR_TYPE
};

inline constexpr int kTensorTypeCount = 0
#define LLMRUN_TENSOR_TYPE(type, id, name, header) +1
#include "kernels/quant/types.def"  // IWYU pragma: keep
#undef LLMRUN_TENSOR_TYPE
    ;

struct TensorTypeTraits {
  std::string_view name;   // "Q4_K", as users and other programs write it
  uint32_t gguf_id = 0;    // number in the tensor directory of a GGUF file
  int64_t block_size = 0;  // values per block; rows hold whole blocks
  size_t block_bytes = 0;
  bool is_float = false;    // one value per block, no integer form (F32, F16, BF16)
  int64_t group_size = 0;   // values that share a scale in the integer form: 16, 32 (0 for floats)
  bool has_offset = false;  // the integer form has an offset beside the scale
};

// Always valid: every enumerator has traits.
const TensorTypeTraits& traits(TensorType type);

// nullopt: not a type this build knows.
std::optional<TensorType> tensor_type_from_gguf_id(uint32_t id);
// Upper and lower case are the same ("q4_k", "Q4_K").
std::optional<TensorType> tensor_type_from_name(std::string_view name);

// Bytes of n_elements consecutive values. An error when n_elements is negative, is not a multiple
// of the block size, or the result does not fit.
Result<size_t> row_bytes(TensorType type, int64_t n_elements);

// The values of n_elements (a multiple of the block size) packed values; `bytes` may be unaligned.
// Bit-identical to the reference decoder of the format.
void dequantize_row(TensorType type, const std::byte* bytes, int64_t n_elements, float* out);

// Packs n_elements (a multiple of the block size) values, which must be finite. A careful
// quantiser: slow for the grid types, deterministic, the same on every machine. `weights` (as many,
// finite and positive; null: all equal) say how much the squared error of each value counts.
void quantize_row(TensorType type, const float* in, int64_t n_elements, std::byte* bytes,
                  const float* weights = nullptr);

}  // namespace llmrun::quant
