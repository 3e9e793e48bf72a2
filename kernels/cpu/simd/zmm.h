// Vector primitives of 16 lanes of 32 bits, for AVX-512 (F, BW, VL, DQ) with VNNI. The members are
// explained in ymm.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/simd/no_tiles.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see ymm.h

struct Zmm {
  static constexpr int kLanes = 16;
  static constexpr int kTileTokens = 8;
  static constexpr int kDotRows = 4, kDotTokens = 4;
  static constexpr int kDirectTokens = 4;
  static constexpr bool kShortLookUp = true;
  static constexpr bool kAnyUnsigned = true;
  using Words = __m512i;
  using Floats = __m512;

  // ---- words -----------------------------------------------------------------------------------
  static Words load(const void* p) { return _mm512_loadu_si512(p); }
  static void store(void* p, Words v) { _mm512_storeu_si512(p, v); }
  static Words zero() { return _mm512_setzero_si512(); }
  static Words bytes(int v) { return _mm512_set1_epi8(static_cast<char>(v)); }
  static Words words(int32_t v) { return _mm512_set1_epi32(v); }
  static Words bit_and(Words a, Words b) { return _mm512_and_si512(a, b); }
  static Words bit_or(Words a, Words b) { return _mm512_or_si512(a, b); }
  static Words bit_xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
  static Words equal_bytes(Words a, Words b) {
    return _mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a, b));
  }
  static Words add_words(Words a, Words b) { return _mm512_add_epi32(a, b); }
  static Words sub_words(Words a, Words b) { return _mm512_sub_epi32(a, b); }
  template <int kBits>
  static Words right(Words v) {
    return _mm512_srli_epi16(v, kBits);
  }
  template <int kBits>
  static Words left(Words v) {
    return _mm512_slli_epi16(v, kBits);
  }
  template <int kBits>
  static Words left_words(Words v) {
    return _mm512_slli_epi32(v, kBits);
  }
  template <int kBits>
  static Words right_words(Words v) {
    return _mm512_srli_epi32(v, kBits);
  }
  template <int kBits>
  static Words right_signed_words(Words v) {
    return _mm512_srai_epi32(v, kBits);
  }
  static Words look_up(const int8_t* table, Words v) {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), v);
  }
  template <int kHalf>
  static Words spread_half(Words v) {
    constexpr int b = kHalf == 0 ? 0x01010000 : 0x03030202;
    return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_setr_epi32(
                                      b, b + 0x04040404, b + 0x08080808, b + 0x0c0c0c0c)));
  }
  static Words subtract_where(Words bits, Words which, Words from, Words v) {
    return _mm512_mask_sub_epi8(v, _mm512_test_epi8_mask(bits, which), from, v);
  }
  // Registers hold 64 entries in two: from there up a tree of choices by the bits of the index.
  template <int kEntries>
  static Words look_up_shorts(const uint16_t* table, Words index) {
    if constexpr (kEntries == 64) {
      return _mm512_permutex2var_epi16(load(table), index, load(table + 32));
    } else {
      constexpr int kBit = __builtin_ctz(kEntries) - 1;
      const __mmask32 upper = _mm512_movepi16_mask(_mm512_slli_epi16(index, 15 - kBit));
      return _mm512_mask_blend_epi16(upper, look_up_shorts<kEntries / 2>(table, index),
                                     look_up_shorts<kEntries / 2>(table + kEntries / 2, index));
    }
  }
  template <int kByte>
  static Words spread_byte(Words v) {
    constexpr int b = kByte * 0x01010101;
    return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_setr_epi32(
                                      b, b + 0x04040404, b + 0x08080808, b + 0x0c0c0c0c)));
  }
  template <typename Rows>
  __attribute__((always_inline)) static void load_transposed(const Rows& rows, int64_t offset,
                                                             Words* out) {
    __m512i v[4];
    for (int i = 0; i < 4; ++i) {  // insertions into 256 bits cost half of those into 512
      v[i] = join(load_pair(rows[i] + offset, rows[i + 4] + offset),
                  load_pair(rows[i + 8] + offset, rows[i + 12] + offset));
    }
    const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]);
    const __m512i b = _mm512_unpacklo_epi32(v[2], v[3]);
    const __m512i c = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i d = _mm512_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm512_unpacklo_epi64(a, b);
    out[1] = _mm512_unpackhi_epi64(a, b);
    out[2] = _mm512_unpacklo_epi64(c, d);
    out[3] = _mm512_unpackhi_epi64(c, d);
  }
  static Words gather(const uint32_t* table, Words index) {
    alignas(64) uint32_t at[kLanes];
    store(at, index);
    __m128i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm_cvtsi32_si128(static_cast<int>(table[at[4 * i]]));
      v[i] = _mm_insert_epi32(v[i], static_cast<int>(table[at[4 * i + 1]]), 1);
      v[i] = _mm_insert_epi32(v[i], static_cast<int>(table[at[4 * i + 2]]), 2);
      v[i] = _mm_insert_epi32(v[i], static_cast<int>(table[at[4 * i + 3]]), 3);
    }
    return join(pair_of(v[0], v[1]), pair_of(v[2], v[3]));
  }
  static void gather_pairs(const uint32_t* table, Words index, Words& first, Words& second) {
    alignas(64) uint32_t at[kLanes];
    store(at, index);
    __m128i v[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      v[i] = _mm_cvtsi64_si128(load_64(table + 2 * at[2 * i]));
      v[i] = _mm_insert_epi64(v[i], load_64(table + 2 * at[2 * i + 1]), 1);
    }
    const Words a = join(pair_of(v[0], v[1]), pair_of(v[2], v[3]));
    const Words b = join(pair_of(v[4], v[5]), pair_of(v[6], v[7]));
    const Words even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    first = _mm512_permutex2var_epi32(a, even, b);
    second = _mm512_permutex2var_epi32(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b);
  }
  template <typename Rows>
  __attribute__((always_inline)) static Words load_words(const Rows& rows, int64_t offset) {
    // In registers: a load of what 16 stores have just written would wait for all of them.
    __m128i v[4];
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm_cvtsi32_si128(load_32(rows[4 * i] + offset));
      v[i] = _mm_insert_epi32(v[i], load_32(rows[4 * i + 1] + offset), 1);
      v[i] = _mm_insert_epi32(v[i], load_32(rows[4 * i + 2] + offset), 2);
      v[i] = _mm_insert_epi32(v[i], load_32(rows[4 * i + 3] + offset), 3);
    }
    return join(pair_of(v[0], v[1]), pair_of(v[2], v[3]));
  }

  static void fetch(const uint8_t* p) { asm volatile("prefetcht1 %0" : : "m"(*p)); }

  // ---- floats ----------------------------------------------------------------------------------
  static Floats load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
  static Floats zero_floats() { return _mm512_setzero_ps(); }
  static Floats floats(float v) { return _mm512_set1_ps(v); }
  static Floats broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static Words broadcast_word(const void* p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return _mm512_set1_epi32(v);
  }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats absolute(Floats v) { return _mm512_abs_ps(v); }
  static Floats copy_sign(Floats magnitude, Floats sign) {
    const __m512i bit = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign),
                                                         _mm512_castps_si512(magnitude), 0xca));
  }
  static Floats less_select(Floats x, Floats y, Floats a, Floats b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), b, a);
  }
  static Floats from_words(Words v) { return _mm512_cvtepi32_ps(v); }
  static Words nearest_words(Floats v) { return _mm512_cvtps_epi32(v); }
  static void store_bytes(int8_t* p, Words v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
  }
  static int32_t sum_words(Words v) { return _mm512_reduce_add_epi32(v); }
  static Floats as_floats(Words v) { return _mm512_castsi512_ps(v); }
  static Words as_words(Floats v) { return _mm512_castps_si512(v); }
  static Floats load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Floats load_bf16(const uint16_t* p) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
  }
  static Words load_u8(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Floats load_i8(const int8_t* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static void store_f16(uint16_t* p, Floats v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static Floats from_halves(Words v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
  template <typename Rows>
  __attribute__((always_inline)) static Floats load_halves(const Rows& rows, int64_t offset) {
    __m128i v[2];
    for (int i = 0; i < 2; ++i) {
      v[i] = _mm_cvtsi32_si128(load_16(rows[8 * i] + offset));
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 1] + offset), 1);
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 2] + offset), 2);
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 3] + offset), 3);
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 4] + offset), 4);
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 5] + offset), 5);
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 6] + offset), 6);
      v[i] = _mm_insert_epi16(v[i], load_16(rows[8 * i + 7] + offset), 7);
    }
    return _mm512_cvtph_ps(pair_of(v[0], v[1]));
  }
  static float sum(Floats v) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static float largest(Floats v) { return _mm512_reduce_max_ps(v); }
  // Sums of the lanes of v[0..15], each added in the order of sum().
  static Floats sums(const Floats* v) {
    float f[kLanes];
    for (int i = 0; i < kLanes; ++i) f[i] = sum(v[i]);
    return load(f);
  }

  // ---- integer dot products --------------------------------------------------------------------
  template <int kMaxByte, bool kSigned>
  struct Dot {
    static_assert(!kSigned);
    Words sum;
    void begin(Words start) { sum = start; }
    void add(int, Words w, Words a) { sum = _mm512_dpbusd_epi32(sum, w, a); }
    Words total() const { return sum; }
  };

 private:
  static int32_t load_32(const uint8_t* p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static int load_16(const uint8_t* p) {
    uint16_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static __m128i load_128(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static long long load_64(const uint32_t* p) {
    long long v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static __m256i pair_of(__m128i low, __m128i high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  static __m256i load_pair(const uint8_t* low, const uint8_t* high) {
    return pair_of(load_128(low), load_128(high));
  }
  static __m512i join(__m256i low, __m256i high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
};

}  // namespace
}  // namespace llmrun::kernels::cpu
