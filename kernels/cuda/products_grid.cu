// Products of the types whose values are points of a grid.
#include "kernels/cuda/products.cuh"
#include "kernels/cuda/unpack_codebook.cuh"

namespace llmrun::kernels::cuda {

LLMRUN_PRODUCTS(IQ1_S)
LLMRUN_PRODUCTS(IQ1_M)
LLMRUN_PRODUCTS(IQ2_XXS)
LLMRUN_PRODUCTS(IQ2_XS)
LLMRUN_PRODUCTS(IQ2_S)
LLMRUN_PRODUCTS(IQ3_XXS)
LLMRUN_PRODUCTS(IQ3_S)

}  // namespace llmrun::kernels::cuda
