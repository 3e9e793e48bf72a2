// The CUDA runtime's functions; in the tests' emulation, those that run on main memory.
#pragma once

#ifdef LLMRUN_CUDA_EMULATION
#include "cuda_emulation/runtime.h"
#else
#include <cuda_runtime_api.h>
#endif
