// Products of weights that are floats.
#include "kernels/cuda/products_half.cuh"

namespace llmrun::kernels::cuda {

LLMRUN_PRODUCTS(F32)
LLMRUN_HALF_PRODUCTS(F16)
LLMRUN_HALF_PRODUCTS(BF16)

}  // namespace llmrun::kernels::cuda
