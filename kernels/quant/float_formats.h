// Conversions between float32 and the small float formats: IEEE float16, bfloat16, OCP FP8 (E4M3
// "FN", E5M2), E8M0. To-float is exact; from-float rounds to nearest, ties to even. All of them
// are constexpr, need no CPU feature and give the same bits everywhere; see policy.h on linkage.
#pragma once

#include <cstdint>

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

constexpr uint32_t bits_of(float value) { return __builtin_bit_cast(uint32_t, value); }
constexpr float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// The layout of a small float: sign, kExponentBits, kMantissaBits. kFinite: no infinity, and only
// the all-ones pattern is NaN (E4M3 FN); values too large then become NaN, as OCP's conversion
// without saturation does; callers that want saturation clamp to kMax first.
template <int kExponentBits, int kMantissaBits, bool kFinite>
struct SmallFloat {
  static constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  static constexpr uint32_t kExponentMax = (1U << kExponentBits) - 1;
  static constexpr uint32_t kMantissaMask = (1U << kMantissaBits) - 1;
  static constexpr int kShift = 23 - kMantissaBits;  // mantissa bits float32 has more
  static constexpr uint32_t kInfinity = kExponentMax << kMantissaBits;  // or the largest exponent

  static constexpr float to_float(uint32_t small) {
    const uint32_t sign = (small >> (kExponentBits + kMantissaBits)) << 31;
    const uint32_t exponent = (small >> kMantissaBits) & kExponentMax;
    const uint32_t mantissa = small & kMantissaMask;
    if (exponent == 0) {  // zero or subnormal: mantissa * 2^(1 - bias - mantissa bits), exact
      const float magnitude =
          static_cast<float>(mantissa) *
          float_of(static_cast<uint32_t>(127 + 1 - kBias - kMantissaBits) << 23);
      return float_of(bits_of(magnitude) | sign);
    }
    if (kFinite ? (exponent == kExponentMax && mantissa == kMantissaMask)
                : (exponent == kExponentMax)) {
      // NaNs stay NaN, made quiet, with their payload (as F16C does).
      const uint32_t quiet = mantissa != 0 ? 0x400000U : 0U;
      return float_of(sign | 0x7f800000U | quiet | (mantissa << kShift));
    }
    return float_of(sign | ((exponent + (127U - kBias)) << 23) | (mantissa << kShift));
  }

  static constexpr uint32_t from_float(float value) {
    const uint32_t bits = bits_of(value);
    const uint32_t sign = (bits >> 31) << (kExponentBits + kMantissaBits);
    const uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) {  // NaN: quiet, upper payload bits kept
      return kFinite ? sign | kInfinity | kMantissaMask
                     : sign | kInfinity | (1U << (kMantissaBits - 1)) |
                           ((magnitude >> kShift) & kMantissaMask);
    }
    const int exponent = static_cast<int>(magnitude >> 23) - 127 + kBias;
    uint32_t small = 0;
    if (exponent > 0) {
      // Rebias, then add just less than half of the last kept place (half when that place is odd).
      const uint32_t rebased = magnitude - (static_cast<uint32_t>(127 - kBias) << 23);
      small = (rebased + ((1U << (kShift - 1)) - 1) + ((rebased >> kShift) & 1U)) >> kShift;
      const uint32_t overflow = kFinite ? (kInfinity | kMantissaMask) : kInfinity;
      if (exponent > static_cast<int>(kExponentMax) || small > overflow) small = overflow;
    } else if (const int shift = kShift + 1 - exponent; shift < 25) {
      // Subnormal: shift the mantissa with its hidden bit right, rounding the same way.
      const uint32_t full = (magnitude & 0x7fffffU) | (magnitude >= 0x800000U ? 0x800000U : 0U);
      small = (full + ((1U << (shift - 1)) - 1) + ((full >> shift) & 1U)) >> shift;
    }
    return sign | small;
  }
};

using Float16 = SmallFloat<5, 10, false>;
using FloatE5m2 = SmallFloat<5, 2, false>;
using FloatE4m3 = SmallFloat<4, 3, true>;

inline constexpr float kE4m3Max = 448.0F;
inline constexpr float kE5m2Max = 57344.0F;

constexpr float float_from_f16(uint16_t bits) { return Float16::to_float(bits); }
constexpr uint16_t f16_from_float(float value) {
  return static_cast<uint16_t>(Float16::from_float(value));
}

constexpr float float_from_bf16(uint16_t bits) {
  return float_of(static_cast<uint32_t>(bits) << 16);
}
constexpr uint16_t bf16_from_float(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

// FP8. Values beyond the largest finite one saturate (as caches and activations want it); NaN
// stays NaN. E5M2 keeps infinities that were infinite before.
constexpr float float_from_e4m3(uint8_t bits) { return FloatE4m3::to_float(bits); }
constexpr uint8_t e4m3_from_float(float value) {
  if (value > kE4m3Max) value = kE4m3Max;
  if (value < -kE4m3Max) value = -kE4m3Max;
  return static_cast<uint8_t>(FloatE4m3::from_float(value));
}
constexpr float float_from_e5m2(uint8_t bits) { return FloatE5m2::to_float(bits); }
constexpr uint8_t e5m2_from_float(float value) {
  const bool infinite = (bits_of(value) & 0x7fffffffU) == 0x7f800000U;
  if (!infinite && value > kE5m2Max) value = kE5m2Max;
  if (!infinite && value < -kE5m2Max) value = -kE5m2Max;
  return static_cast<uint8_t>(FloatE5m2::from_float(value));
}

// E8M0, a power of two: 2^(bits - 127). The OCP format reserves 255 for NaN; GGUF does not use it.
// This is half of it, 2^(bits - 128), because the E2M1 tables here hold doubled values.
constexpr float half_float_from_e8m0(uint8_t bits) {
  return bits < 2 ? float_of(0x00200000U << bits) : float_of(static_cast<uint32_t>(bits - 1) << 23);
}

}  // namespace
}  // namespace llmrun::quant
