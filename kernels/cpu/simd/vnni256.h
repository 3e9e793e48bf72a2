// The code of avxvnni.h with the instruction as AVX-512 (VL) encodes it.
#pragma once

#include "kernels/cpu/simd/avxvnni.h"
