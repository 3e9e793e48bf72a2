#include "kernels/cpu/workspace.h"

#include <new>

#include "base/error.h"
#include "kernels/host_buffer.h"

namespace llmrun::kernels::cpu {

Result<void> Workspace::reserve(size_t bytes) {
  if (buffer_ != nullptr && buffer_->size() >= bytes) return {};
  buffer_.reset();  // first, so that the old and the new one never stand side by side
  LLMRUN_ASSIGN(buffer_, allocate_host_buffer(bytes));
  return {};
}

uint8_t* Workspace::get(size_t bytes) {
  if (!reserve(bytes)) throw std::bad_alloc();
  return reinterpret_cast<uint8_t*>(buffer_->data());
}

}  // namespace llmrun::kernels::cpu
