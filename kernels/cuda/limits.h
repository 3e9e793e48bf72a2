// What the CUDA kernels cannot be asked for though the op contract allows it: plain numbers, so
// that a plan can put such layers on the CPU without a card or a build with CUDA.
#pragma once

#include <cstdint>

namespace llmrun::kernels::cuda {

inline constexpr int64_t kMaxKeyDim = 768;  // of attention: a block holds a query in shared memory
inline constexpr int64_t kMaxExperts = 2048;  // of one router

}  // namespace llmrun::kernels::cuda
