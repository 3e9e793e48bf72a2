// Reads the directory of a .safetensors file: 8 bytes of length, a JSON header, the tensors' bytes.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convert/dtype.h"
#include "llmrun/error.h"

namespace llmrun::convert {

// A tensor of the checkpoint. The bytes are a view into the mapped file.
struct SourceTensor {
  std::string name;
  const Dtype* dtype = nullptr;
  std::vector<uint64_t> shape;  // outermost first; empty: a scalar
  uint64_t n_elements = 0;      // of the shape; checked against the bytes
  std::span<const std::byte> bytes;
};

// The tensors in the order of their bytes. Every offset is inside the file, no two tensors share a
// byte, and no byte of the data belongs to none (the format forbids both). `path` is for errors.
Result<std::vector<SourceTensor>> read_safetensors(std::span<const std::byte> file,
                                                   const std::string& path);

}  // namespace llmrun::convert
