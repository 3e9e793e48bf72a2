// Vector primitives of 8 lanes of 32 bits, for AVX2 with FMA and F16C: all but the integer dot
// product, which avx2.h and avxvnni.h add.
//
// Each simd/<target>.h defines one `struct Simd` with the same members; every <op>.inc is written
// with them and compiled once per target. Everything is in an anonymous namespace, so that no code
// of a target can be linked into another's place. `Words` are kLanes lanes of 32 bits, seen as
// integers or as 4 bytes each; in kernels lane r belongs to row r of a group of weight rows.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/simd/no_tiles.h"

namespace llmrun::kernels::cpu {
namespace {  // NOLINT(google-build-namespaces): see above

struct Ymm {
  using Tiles = NoTiles;
  static constexpr int kLanes = 8;
  static constexpr int kTileTokens = 4;  // tokens per register tile of the block product
  static constexpr int kDotRows = 3, kDotTokens = 4;  // register tile of the float product
  static constexpr bool kShortLookUp = false;  // tables of 16-bit entries are read in registers
  static constexpr int kDirectTokens = 2;      // tokens that need no panel: 1, 2 or 4
  using Words = __m256i;
  using Floats = __m256;

  // ---- words -----------------------------------------------------------------------------------
  static Words load(const void* p) { return _mm256_loadu_si256(static_cast<const Words*>(p)); }
  static void store(void* p, Words v) { _mm256_storeu_si256(static_cast<Words*>(p), v); }
  static Words zero() { return _mm256_setzero_si256(); }
  static Words bytes(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
  static Words words(int32_t v) { return _mm256_set1_epi32(v); }
  static Words bit_and(Words a, Words b) { return _mm256_and_si256(a, b); }
  static Words bit_or(Words a, Words b) { return _mm256_or_si256(a, b); }
  static Words bit_xor(Words a, Words b) { return _mm256_xor_si256(a, b); }
  static Words equal_bytes(Words a, Words b) { return _mm256_cmpeq_epi8(a, b); }
  static Words add_words(Words a, Words b) { return _mm256_add_epi32(a, b); }
  static Words sub_words(Words a, Words b) { return _mm256_sub_epi32(a, b); }
  // Shifts of 16-bit units: bytes of the result still need a mask.
  template <int kBits>
  static Words right(Words v) {
    return _mm256_srli_epi16(v, kBits);
  }
  template <int kBits>
  static Words left(Words v) {
    return _mm256_slli_epi16(v, kBits);
  }
  template <int kBits>
  static Words left_words(Words v) {
    return _mm256_slli_epi32(v, kBits);
  }
  template <int kBits>
  static Words right_words(Words v) {
    return _mm256_srli_epi32(v, kBits);
  }
  template <int kBits>
  static Words right_signed_words(Words v) {
    return _mm256_srai_epi32(v, kBits);
  }
  // table[b] for each byte b < 16.
  static Words look_up(const int8_t* table, Words v) {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), v);
  }
  // from - v in the bytes where the bit of `which` (one in each byte) is set.
  static Words subtract_where(Words bits, Words which, Words from, Words v) {
    const Words set = equal_bytes(bit_and(bits, which), which);
    return _mm256_blendv_epi8(v, _mm256_sub_epi8(from, v), set);
  }
  // Where kShortLookUp: table[index] in both halves of each lane; and bytes 2 * kHalf and
  // 2 * kHalf + 1 of each lane, both twice.
  template <int kEntries>
  static Words look_up_shorts(const uint16_t* table, Words index);
  template <int kHalf>
  static Words spread_half(Words v);
  // Byte kByte of each lane in all four bytes of the lane.
  template <int kByte>
  static Words spread_byte(Words v) {
    constexpr int b = kByte * 0x01010101;
    return _mm256_shuffle_epi8(
        v, _mm256_setr_epi32(b, b + 0x04040404, b + 0x08080808, b + 0x0c0c0c0c, b, b + 0x04040404,
                             b + 0x08080808, b + 0x0c0c0c0c));
  }
  // 16 bytes at rows[r] + offset for each lane r, transposed: lane r of out[j] is bytes 4j..4j+3.
  template <typename Rows>
  __attribute__((always_inline)) static void load_transposed(const Rows& rows, int64_t offset,
                                                             Words* out) {
    __m256i v[4];
    for (int i = 0; i < 4; ++i) {
      const auto* low = reinterpret_cast<const __m128i*>(rows[i] + offset);
      const auto* high = reinterpret_cast<const __m128i*>(rows[i + 4] + offset);
      v[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                     _mm_loadu_si128(high), 1);
    }
    const __m256i a = _mm256_unpacklo_epi32(v[0], v[1]);
    const __m256i b = _mm256_unpacklo_epi32(v[2], v[3]);
    const __m256i c = _mm256_unpackhi_epi32(v[0], v[1]);
    const __m256i d = _mm256_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm256_unpacklo_epi64(a, b);
    out[1] = _mm256_unpackhi_epi64(a, b);
    out[2] = _mm256_unpacklo_epi64(c, d);
    out[3] = _mm256_unpackhi_epi64(c, d);
  }
  static int32_t load_32(const uint8_t* p) {
    int32_t v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  static short load_16(const uint8_t* p) {
    short v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  // table[index] in each lane. One load per lane: gather instructions take longer, or hardly less.
  static Words gather(const uint32_t* table, Words index) {
    alignas(32) uint32_t at[kLanes];
    store(at, index);
    return _mm256_setr_epi32(static_cast<int>(table[at[0]]), static_cast<int>(table[at[1]]),
                             static_cast<int>(table[at[2]]), static_cast<int>(table[at[3]]),
                             static_cast<int>(table[at[4]]), static_cast<int>(table[at[5]]),
                             static_cast<int>(table[at[6]]), static_cast<int>(table[at[7]]));
  }
  // table[2 * index] and table[2 * index + 1].
  static void gather_pairs(const uint32_t* table, Words index, Words& first, Words& second) {
    alignas(32) uint32_t at[kLanes];
    store(at, index);
    __m128i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm_cvtsi64_si128(load_64(table + 2 * at[2 * i]));
      v[i] = _mm_insert_epi64(v[i], load_64(table + 2 * at[2 * i + 1]), 1);
    }
    const Floats a = as_floats(_mm256_inserti128_si256(_mm256_castsi128_si256(v[0]), v[2], 1));
    const Floats b = as_floats(_mm256_inserti128_si256(_mm256_castsi128_si256(v[1]), v[3], 1));
    first = as_words(_mm256_shuffle_ps(a, b, 0x88));
    second = as_words(_mm256_shuffle_ps(a, b, 0xdd));
  }
  static long long load_64(const uint32_t* p) {
    long long v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
  // The 32 bits at rows[r] + offset.
  template <typename Rows>
  __attribute__((always_inline)) static Words load_words(const Rows& rows, int64_t offset) {
    return _mm256_setr_epi32(load_32(rows[0] + offset), load_32(rows[1] + offset),
                             load_32(rows[2] + offset), load_32(rows[3] + offset),
                             load_32(rows[4] + offset), load_32(rows[5] + offset),
                             load_32(rows[6] + offset), load_32(rows[7] + offset));
  }

  // Fetches a cache line to the second-level cache, at this very place of the program: GCC moves
  // its own prefetches together, where they wait for each other.
  static void fetch(const uint8_t* p) { asm volatile("prefetcht1 %0" : : "m"(*p)); }

  // ---- floats ----------------------------------------------------------------------------------
  static Floats load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
  static Floats zero_floats() { return _mm256_setzero_ps(); }
  static Floats floats(float v) { return _mm256_set1_ps(v); }
  static Floats broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static Words broadcast_word(const void* p) {
    return _mm256_castps_si256(_mm256_broadcast_ss(static_cast<const float*>(p)));
  }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  // a * b + c; rounded once where the target can.
  static Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  // The second operand when one of them is not a number.
  static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats absolute(Floats v) {
    return _mm256_and_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
  }
  static Floats copy_sign(Floats magnitude, Floats sign) {
    const __m256 bit = _mm256_castsi256_ps(_mm256_set1_epi32(INT32_MIN));
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
  }
  // a where x < y, else b.
  static Floats less_select(Floats x, Floats y, Floats a, Floats b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
  }
  static Floats from_words(Words v) { return _mm256_cvtepi32_ps(v); }
  static Words nearest_words(Floats v) { return _mm256_cvtps_epi32(v); }
  // The lowest byte of each lane; the lanes must fit.
  static void store_bytes(int8_t* p, Words v) {
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(halves, halves));
  }
  static int32_t sum_words(Words v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
  }
  static Floats as_floats(Words v) { return _mm256_castsi256_ps(v); }
  static Words as_words(Floats v) { return _mm256_castps_si256(v); }
  static Floats load_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Floats load_bf16(const uint16_t* p) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
  }
  static Words load_u8(const uint8_t* p) {  // each byte as a word
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static Floats load_i8(const int8_t* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static void store_f16(uint16_t* p, Floats v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  // The float16 in the low half of each lane.
  static Floats from_halves(Words v) {
    const __m256i low = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  }
  // The float16 at rows[r] + offset.
  template <typename Rows>
  __attribute__((always_inline)) static Floats load_halves(const Rows& rows, int64_t offset) {
    return _mm256_cvtph_ps(_mm_setr_epi16(load_16(rows[0] + offset), load_16(rows[1] + offset),
                                          load_16(rows[2] + offset), load_16(rows[3] + offset),
                                          load_16(rows[4] + offset), load_16(rows[5] + offset),
                                          load_16(rows[6] + offset), load_16(rows[7] + offset)));
  }
  static float sum(Floats v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static float largest(Floats v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  // Sums of the lanes of v[0..7], each added in the order of sum().
  static Floats sums(const Floats* v) {
    __m256 h[8];
    for (int i = 0; i < 4; ++i) {  // low lanes: row i, high lanes: row i + 4
      h[i] = _mm256_add_ps(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20),
                           _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
    }
    // h[i] holds s0 s1 s2 s3; sum() adds (s0 + s2) + (s1 + s3).
    const __m256 a =
        _mm256_add_ps(_mm256_shuffle_ps(h[0], h[1], 0x44), _mm256_shuffle_ps(h[0], h[1], 0xee));
    const __m256 b =
        _mm256_add_ps(_mm256_shuffle_ps(h[2], h[3], 0x44), _mm256_shuffle_ps(h[2], h[3], 0xee));
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
  }
};

}  // namespace
}  // namespace llmrun::kernels::cpu
