// What a tensor type's policy header provides, and what all of them share. See also types.def.
//
// A policy is `struct Q4_0` in namespace llmrun::quant with
//   kType, kBlockSize (values), kIsFloat
//   Block            the bytes as they lie in a file; alignment 1, so any address will do
//   dequantize(b, float* out)            bit-identical to the format's reference decoder
//   quantize(const float* in, const float* weights, b)
//                    round to nearest; a careful scale where the type has one: the one with the
//                    least sum of weights[i] * (error of value i)^2, weights being positive
// and, unless kIsFloat, the exact integer form that integer kernels compute with:
//   kGroupSize       16 or 32 consecutive values share one scale; divides kBlockSize
//   kHasOffset       whether offsets can differ from 0
//   kMaxAbs          bound of |q|: 127 at most, so a product with an int8 fits 16 bits
//   unpack(b, int8_t* q, float* scale, float* offset)
//                    w[i] = scale[i / kGroupSize] * q[i] + offset[i / kGroupSize]
//                    (offset is not written when !kHasOffset and may then be null)
//
// Linkage. These headers are compiled into files of every CPU target, and a function compiled with
// AVX-512 must not replace the plain one when the linker merges duplicates. So everything in
// kernels/quant/*.h lives in an anonymous namespace: each file has its own copies, templates
// instantiated with a policy are internal too, and no weak symbol can appear. The cost (a policy
// is a different type in each file) is of no matter, because policies never cross a file border:
// TensorType does. For the same reason these headers call no inline function of the standard
// library (std::min, std::bit_cast, a loop over {a, b}, ...) and no container; C functions and
// builtins are fine.
#pragma once

#include <cstddef>
#include <cstdint>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "kernels/quant/float_formats.h"
#include "kernels/tensor_type.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" above

inline constexpr int kSuperBlock = 256;  // values per block of the K and IQ types

// A float16 as it lies in a file.
struct Half {
  uint8_t bytes[2];
  uint16_t bits() const { return static_cast<uint16_t>(bytes[0] | (bytes[1] << 8)); }
  float get() const {
#ifdef __F16C__  // the same bits, faster
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits())));
#else
    return float_from_f16(bits());
#endif
  }
  // Saturates: a scale must not become infinite. Returns what was stored.
  float set(float value) {
    if (value > 65504.0F) value = 65504.0F;
    if (value < -65504.0F) value = -65504.0F;
    set_bits(f16_from_float(value));
    return get();
  }
  void set_bits(uint16_t bits) {
    bytes[0] = static_cast<uint8_t>(bits);
    bytes[1] = static_cast<uint8_t>(bits >> 8);
  }
};
static_assert(sizeof(Half) == 2 && alignof(Half) == 1);

// Little-endian loads and stores at any address.
inline uint16_t load_u16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | (p[1] << 8)); }
inline uint32_t load_u32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | (static_cast<uint32_t>(p[1]) << 8) |
         (static_cast<uint32_t>(p[2]) << 16) | (static_cast<uint32_t>(p[3]) << 24);
}
inline void store_u16(uint8_t* p, uint32_t v) {
  p[0] = static_cast<uint8_t>(v);
  p[1] = static_cast<uint8_t>(v >> 8);
}
inline void store_u32(uint8_t* p, uint32_t v) {
  store_u16(p, v);
  store_u16(p + 2, v >> 16);
}

// dequantize() in terms of unpack(), for the types whose reference decoder computes the same
// expression. (Contraction to fma is off in the whole project, so the rounding is the same.)
template <typename Policy>
inline void dequantize_by_unpack(const typename Policy::Block& block, float* out) {
  constexpr int kGroups = Policy::kBlockSize / Policy::kGroupSize;
  int8_t q[Policy::kBlockSize];
  float scale[kGroups];
  float offset[kGroups];
  Policy::unpack(block, q, scale, offset);
  for (int g = 0; g < kGroups; ++g) {
    for (int i = g * Policy::kGroupSize; i < (g + 1) * Policy::kGroupSize; ++i) {
      const float product = scale[g] * static_cast<float>(q[i]);
      if constexpr (Policy::kHasOffset) {
        out[i] = product + offset[g];
      } else {
        out[i] = product;
      }
    }
  }
}

}  // namespace
}  // namespace llmrun::quant
