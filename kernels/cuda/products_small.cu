// Products of the types with small blocks, and of the ternary types.
#include "kernels/cuda/products.cuh"
#include "kernels/cuda/unpack_small.cuh"

namespace llmrun::kernels::cuda {

LLMRUN_PRODUCTS(Q4_0)
LLMRUN_PRODUCTS(Q4_1)
LLMRUN_PRODUCTS(Q5_0)
LLMRUN_PRODUCTS(Q5_1)
LLMRUN_PRODUCTS(Q8_0)
LLMRUN_PRODUCTS(Q1_0)
LLMRUN_PRODUCTS(Q2_0)
LLMRUN_PRODUCTS(TQ1_0)
LLMRUN_PRODUCTS(TQ2_0)

}  // namespace llmrun::kernels::cuda
