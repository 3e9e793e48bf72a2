// Products of the types of 4 bits that name values of a table.
#include "kernels/cuda/products.cuh"
#include "kernels/cuda/unpack_codebook.cuh"

namespace llmrun::kernels::cuda {

LLMRUN_PRODUCTS(IQ4_NL)
LLMRUN_PRODUCTS(IQ4_XS)
LLMRUN_PRODUCTS(MXFP4)
LLMRUN_PRODUCTS(NVFP4)

}  // namespace llmrun::kernels::cuda
