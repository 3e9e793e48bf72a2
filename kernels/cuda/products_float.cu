// Products of weights that are floats.
#include "kernels/cuda/products.cuh"

namespace llmrun::kernels::cuda {

LLMRUN_PRODUCTS(F32)
LLMRUN_PRODUCTS(F16)
LLMRUN_PRODUCTS(BF16)

}  // namespace llmrun::kernels::cuda
