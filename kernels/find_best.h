// The largest values of each row and where they stand: what a sampler looks at, found where the
// rows lie, when all of a row would have to cross a bus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/ops.h"

namespace llmrun::kernels {

inline constexpr int64_t kMaxBest = 512;   // of a row
inline constexpr int64_t kMaxNamed = 256;  // of a row

// The best come first: larger values, the lower column on a tie; before all, what is no number or
// +inf. Then come the named columns, in their order.
struct FindBestParams {
  ConstRows x;                     // [n, width]
  int64_t n_best = 0;              // a power of two, at most kMaxBest and width
  std::span<const int32_t> named;  // [n, n_named], columns
  int64_t n_named = 0;
  int32_t* columns = nullptr;    // [n, n_best + n_named]
  float* values = nullptr;       // the same; may be null
  std::byte* scratch = nullptr;  // Backend::find_best_bytes()
};

}  // namespace llmrun::kernels
