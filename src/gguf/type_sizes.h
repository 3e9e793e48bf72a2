// How large the blocks of each tensor type are: what the reader needs to check sizes, and nothing
// about what the bytes mean (kernels/quant/ knows that).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/checked_math.h"

namespace llmrun::gguf {

struct TypeSize {
  uint32_t id;  // as written in files
  std::string_view name;
  uint32_t block_elements;  // a row is a whole number of blocks
  uint32_t block_bytes;
};

// Nothing for an id that is unknown, was withdrawn, or never stands in a file.
const TypeSize* find_type_size(uint32_t id);
// "Q4_K"; "unknown" for ids without a size.
std::string_view type_name(uint32_t id);
// The id of "q4_k"; case does not matter.
std::optional<uint32_t> find_type_id(std::string_view name);

// Bytes of n_elements (whole blocks); nothing when they are no whole blocks or overflow.
constexpr std::optional<uint64_t> bytes_of(const TypeSize& type, uint64_t n_elements) {
  if (n_elements % type.block_elements != 0) return std::nullopt;
  return checked_mul(n_elements / type.block_elements, type.block_bytes);
}

}  // namespace llmrun::gguf
