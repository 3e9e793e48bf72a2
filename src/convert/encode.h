// From rows of floats to the bytes of a GGUF tensor, a few MB at a time, on all threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/thread_pool.h"
#include "convert/conversion.h"
#include "gguf/writer.h"
#include "kernels/tensor_type.h"

namespace llmrun::convert {

// The type in which a tensor is written when the user wants `wanted`: rows that hold no whole
// blocks fall back to F16.
quant::TensorType type_for(const OutputTensor& tensor, quant::TensorType wanted);

struct EncodeContext {
  ThreadPool* pool = nullptr;
  // Told how many bytes went out; an error stops the conversion.
  std::function<Result<void>(uint64_t n_bytes)> wrote;
};

// Declares the tensor to the writer, which will pull its bytes later. `tensor` and `context` must
// live until then.
void declare_tensor(gguf::Writer& writer, const OutputTensor& tensor, quant::TensorType wanted,
                    const EncodeContext& context);

// The GGUF type and size of what declare_tensor would write.
uint32_t gguf_type_of(const OutputTensor& tensor, quant::TensorType wanted);
uint64_t bytes_of(const OutputTensor& tensor, quant::TensorType wanted);

}  // namespace llmrun::convert
