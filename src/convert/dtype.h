// The element types of safetensors files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llmrun::convert {

struct Dtype {
  std::string_view name;  // as in the file's header
  uint32_t bits = 0;      // of one element
  // Exact where float32 can hold the value; null for types that are no weights by themselves.
  void (*to_float)(const std::byte* bytes, int64_t n, float* out) = nullptr;
};

// Null for a name this build does not know.
const Dtype* find_dtype(std::string_view name);

// Bytes of n elements; nothing when they are no whole bytes or overflow.
std::optional<uint64_t> bytes_of(const Dtype& dtype, uint64_t n_elements);

}  // namespace llmrun::convert
