// Products of the K types.
#include "kernels/cuda/products.cuh"
#include "kernels/cuda/unpack_k.cuh"

namespace llmrun::kernels::cuda {

LLMRUN_PRODUCTS(Q2_K)
LLMRUN_PRODUCTS(Q3_K)
LLMRUN_PRODUCTS(Q4_K)
LLMRUN_PRODUCTS(Q5_K)
LLMRUN_PRODUCTS(Q6_K)

}  // namespace llmrun::kernels::cuda
