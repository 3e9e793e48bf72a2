// Scratch memory of the CPU ops: reserved before the first step, reused by every call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/backend.h"

namespace llmrun::kernels::cpu {

// One region of bytes that only grows. A call larger than what was reserved grows it (and so
// allocates); `reserve` exists so that this does not happen after loading.
class Workspace {
 public:
  Result<void> reserve(size_t bytes);
  // At least `bytes`, contents undefined; valid until the next call with more. Throws
  // std::bad_alloc when the system has no memory left, which cannot happen below what was reserved.
  uint8_t* get(size_t bytes);

 private:
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace llmrun::kernels::cpu
