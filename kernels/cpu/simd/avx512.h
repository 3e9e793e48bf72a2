// AVX-512 with VNNI.
#pragma once

#include "kernels/cpu/simd/zmm.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct Simd : Zmm {
  using Tiles = NoTiles;
};

}  // namespace
}  // namespace llmrun::kernels::cpu
