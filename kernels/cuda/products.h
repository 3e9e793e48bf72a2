// The launchers that every tensor type has, each in one of the products_*.cu: kernels of all types
// in one file would take minutes to compile.
#pragma once

#include "kernels/cuda/launchers.h"

namespace llmrun::kernels::cuda {

struct EmbedRowsParams {
  Weight table;
  const int32_t* ids;
  int64_t n;
  float scale;
  Rows y;
};

// What one launch computes. A block belongs to the product in whose part of the grid it lies.
struct ProductSet {
  int64_t n = 0;
  int32_t n_blocks[kMaxProducts] = {};
  ProductParams products[kMaxProducts];
};

// Two products of one shape and type, and what an activation makes of them.
struct GatedPair {
  GatedActivationParams op;
  QuantizedRows quantized;    // of op.y
  ProductParams products[2];  // gate, up; not stored
};

struct TypeLaunchers {
  cudaError_t (*products)(const ProductSet& set, Queue& queue);  // which fills in n_blocks
  cudaError_t (*gated)(const GatedPair& pair, Queue& queue);
  cudaError_t (*embed)(const EmbedRowsParams& params, Queue& queue);
};
#define LLMRUN_TENSOR_TYPE(type, id, name, header) TypeLaunchers launchers_of_##type();
#include "kernels/quant/types.def"
#undef LLMRUN_TENSOR_TYPE

}  // namespace llmrun::kernels::cuda
