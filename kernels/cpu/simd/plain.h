// Vector primitives for any CPU: 8 lanes of 32 bits, in the compiler's generic vectors. The
// members are explained in ymm.h.
#pragma once

#include <math.h>  // NOLINT(modernize-deprecated-headers): no inline overloads wanted

#include <cstdint>

#include "kernels/cpu/simd/no_tiles.h"
#include "kernels/quant/float_formats.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct Simd {
  using Tiles = NoTiles;
  static constexpr int kLanes = 8;
  static constexpr int kTileTokens = 2;
  static constexpr int kDotRows = 2, kDotTokens = 2;
  static constexpr int kDirectTokens = 1;
  static constexpr bool kShortLookUp = false;
  static constexpr bool kAnyUnsigned = true;
  typedef uint32_t Words __attribute__((vector_size(32)));  // NOLINT(modernize-use-using)
  typedef int32_t Signed __attribute__((vector_size(32)));  // NOLINT(modernize-use-using)
  typedef float Floats __attribute__((vector_size(32)));    // NOLINT(modernize-use-using)

  // ---- words -----------------------------------------------------------------------------------
  static Words load(const void* p) {
    Words v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static void store(void* p, Words v) { __builtin_memcpy(p, &v, sizeof(v)); }
  static Words zero() { return Words{}; }
  static Words bytes(int v) { return Words{} + static_cast<uint32_t>(v & 0xff) * 0x01010101U; }
  static Words words(int32_t v) { return Words{} + static_cast<uint32_t>(v); }
  static Words bit_and(Words a, Words b) { return a & b; }
  static Words bit_or(Words a, Words b) { return a | b; }
  static Words bit_xor(Words a, Words b) { return a ^ b; }
  static Words equal_bytes(Words a, Words b) {
    typedef uint8_t Bytes __attribute__((vector_size(32)));  // NOLINT(modernize-use-using)
    const auto equal = reinterpret_cast<Bytes>(a) == reinterpret_cast<Bytes>(b);
    return reinterpret_cast<Words>(equal);
  }
  static Words add_words(Words a, Words b) { return a + b; }
  static Words sub_words(Words a, Words b) { return a - b; }
  template <int kBits>
  static Words right(Words v) {
    typedef uint16_t Halves __attribute__((vector_size(32)));  // NOLINT(modernize-use-using)
    return reinterpret_cast<Words>(reinterpret_cast<Halves>(v) >> kBits);
  }
  template <int kBits>
  static Words left(Words v) {
    typedef uint16_t Halves __attribute__((vector_size(32)));  // NOLINT(modernize-use-using)
    return reinterpret_cast<Words>(reinterpret_cast<Halves>(v) << kBits);
  }
  template <int kBits>
  static Words left_words(Words v) {
    return v << kBits;
  }
  template <int kBits>
  static Words right_words(Words v) {
    return v >> kBits;
  }
  template <int kBits>
  static Words right_signed_words(Words v) {
    return reinterpret_cast<Words>(reinterpret_cast<Signed>(v) >> kBits);
  }
  static Words look_up(const int8_t* table, Words v) {
    uint8_t b[32];
    store(b, v);
    for (uint8_t& byte : b) byte = static_cast<uint8_t>(table[byte & 15]);
    return load(b);
  }
  template <int kByte>
  static Words spread_byte(Words v) {
    return ((v >> (8 * kByte)) & 0xffU) * 0x01010101U;
  }
  // No borrow leaves a byte, because no byte of v is larger than that of from.
  static Words subtract_where(Words bits, Words which, Words from, Words v) {
    const Words set = equal_bytes(bits & which, which);
    return (set & (from - v)) | (~set & v);
  }
  template <int kHalf>
  static Words spread_half(Words v);  // never called, like look_up_shorts
  template <int kEntries>
  static Words look_up_shorts(const uint16_t* table, Words index);
  template <typename Rows>
  __attribute__((always_inline)) static void load_transposed(const Rows& rows, int64_t offset,
                                                             Words* out) {
    for (int j = 0; j < 4; ++j) out[j] = load_words(rows, offset + 4 * j);
  }
  static Words gather(const uint32_t* table, Words index) {
    uint32_t v[kLanes];
    for (int r = 0; r < kLanes; ++r) v[r] = table[index[r]];
    return load(v);
  }
  static void gather_pairs(const uint32_t* table, Words index, Words& first, Words& second) {
    for (int i = 0; i < kLanes; ++i) {
      first[i] = table[2 * index[i]];
      second[i] = table[2 * index[i] + 1];
    }
  }
  template <typename Rows>
  __attribute__((always_inline)) static Words load_words(const Rows& rows, int64_t offset) {
    uint32_t v[kLanes];
    for (int r = 0; r < kLanes; ++r) __builtin_memcpy(&v[r], rows[r] + offset, sizeof(v[r]));
    return load(v);
  }

  static void fetch(const uint8_t* p) { __builtin_prefetch(p, 0, 2); }

  // ---- floats ----------------------------------------------------------------------------------
  static Floats load(const float* p) {
    Floats v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static void store(float* p, Floats v) { __builtin_memcpy(p, &v, sizeof(v)); }
  static Floats zero_floats() { return Floats{}; }
  static Floats floats(float v) { return Floats{} + v; }
  static Floats broadcast(const float* p) { return floats(*p); }
  static Words broadcast_word(const void* p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return words(v);
  }
  static Floats add(Floats a, Floats b) { return a + b; }
  static Floats sub(Floats a, Floats b) { return a - b; }
  static Floats mul(Floats a, Floats b) { return a * b; }
  static Floats div(Floats a, Floats b) { return a / b; }
  static Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
  static float fma(float a, float b, float c) { return a * b + c; }
  static Floats max(Floats a, Floats b) { return a > b ? a : b; }
  static Floats min(Floats a, Floats b) { return a < b ? a : b; }
  static Floats absolute(Floats v) { return as_floats(as_words(v) & 0x7fffffffU); }
  static Floats copy_sign(Floats magnitude, Floats sign) {
    return as_floats((as_words(magnitude) & 0x7fffffffU) | (as_words(sign) & 0x80000000U));
  }
  static Floats less_select(Floats x, Floats y, Floats a, Floats b) { return x < y ? a : b; }
  static Floats from_words(Words v) {
    return __builtin_convertvector(reinterpret_cast<Signed>(v), Floats);
  }
  // To nearest, ties to even, for magnitudes below 2^22: the addition rounds in the last place.
  static Words nearest_words(Floats v) {
    const Floats magic = floats(0x1.8p23F);
    return as_words(v + magic) - as_words(magic);
  }
  static void store_bytes(int8_t* p, Words v) {
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<int8_t>(v[i]);
  }
  static int32_t sum_words(Words v) {
    uint32_t sum = 0;
    for (int i = 0; i < kLanes; ++i) sum += v[i];
    return static_cast<int32_t>(sum);
  }
  static Floats as_floats(Words v) { return reinterpret_cast<Floats>(v); }
  static Words as_words(Floats v) { return reinterpret_cast<Words>(v); }
  static Floats load_f16(const uint16_t* p) {
    float v[kLanes];
    for (int i = 0; i < kLanes; ++i) v[i] = quant::float_from_f16(p[i]);
    return load(v);
  }
  static Floats load_bf16(const uint16_t* p) {
    float v[kLanes];
    for (int i = 0; i < kLanes; ++i) v[i] = quant::float_from_bf16(p[i]);
    return load(v);
  }
  static Words load_u8(const uint8_t* p) {
    Words v;
    for (int i = 0; i < kLanes; ++i) v[i] = p[i];
    return v;
  }
  static Floats load_i8(const int8_t* p) {
    float v[kLanes];
    for (int i = 0; i < kLanes; ++i) v[i] = static_cast<float>(p[i]);
    return load(v);
  }
  static void store_f16(uint16_t* p, Floats v) {
    for (int i = 0; i < kLanes; ++i) p[i] = quant::f16_from_float(v[i]);
  }
  static Floats from_halves(Words v) {
    float f[kLanes];
    for (int r = 0; r < kLanes; ++r) f[r] = quant::float_from_f16(static_cast<uint16_t>(v[r]));
    return load(f);
  }
  template <typename Rows>
  __attribute__((always_inline)) static Floats load_halves(const Rows& rows, int64_t offset) {
    float f[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      uint16_t half;
      __builtin_memcpy(&half, rows[r] + offset, sizeof(half));
      f[r] = quant::float_from_f16(half);
    }
    return load(f);
  }
  static float sum(Floats v) {
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
  }
  static float largest(Floats v) {
    float result = v[0];
    for (int i = 1; i < kLanes; ++i) result = v[i] > result ? v[i] : result;
    return result;
  }
  static Floats sums(const Floats* v) {
    float f[kLanes];
    for (int i = 0; i < kLanes; ++i) f[i] = sum(v[i]);
    return load(f);
  }

  // ---- integer dot products --------------------------------------------------------------------
  template <int kMaxByte, bool kSigned>
  struct Dot {
    static_assert(!kSigned);
    Signed sum;
    void begin(Words start) { sum = reinterpret_cast<Signed>(start); }
    void add(int, Words w, Words a) {
      const auto q = reinterpret_cast<Signed>(a);
      sum += reinterpret_cast<Signed>(w & 0xffU) * ((q << 24) >> 24);
      sum += reinterpret_cast<Signed>((w >> 8) & 0xffU) * ((q << 16) >> 24);
      sum += reinterpret_cast<Signed>((w >> 16) & 0xffU) * ((q << 8) >> 24);
      sum += reinterpret_cast<Signed>(w >> 24) * (q >> 24);
    }
    Words total() const { return reinterpret_cast<Words>(sum); }
  };
};

}  // namespace
}  // namespace llmrun::kernels::cpu
