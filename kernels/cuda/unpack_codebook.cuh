// Unpacking of the types whose codes stand for entries of a codebook: 16 values (IQ4, MXFP4, NVFP4)
// or vectors of 4 or 8 values (IQ1, IQ2, IQ3).
#pragma once

#include "kernels/cuda/unpack.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// ---- 16 values ---------------------------------------------------------------------------------

struct Codes16 {
  uint32_t words[4];
};
constexpr Codes16 pack_codes16(const int8_t (&values)[16]) {
  Codes16 codes{};
  for (int i = 0; i < 16; ++i) {
    codes.words[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(values[i])) << (8 * (i % 4));
  }
  return codes;
}

// The values of the four codes in the bytes of `codes`.
__device__ __forceinline__ uint32_t look_up16(const Codes16& book, uint32_t codes) {
  const uint32_t low3 = codes & 0x07070707U;
  // Byte i of low3 becomes nibble i.
  const uint32_t nibbles =
      (low3 & 7U) | ((low3 >> 4) & 0x70U) | ((low3 >> 8) & 0x700U) | ((low3 >> 12) & 0x7000U);
  const uint32_t lower = __byte_perm(book.words[0], book.words[1], nibbles);
  const uint32_t upper = __byte_perm(book.words[2], book.words[3], nibbles);
  const uint32_t mask = ((codes >> 3) & 0x01010101U) * 0xffU;
  return (upper & mask) | (lower & ~mask);
}

// 2 * kWords words: byte i holds code i (low nibble) and i + 4 * kWords (high nibble).
template <int kWords, int kAlign>
__device__ __forceinline__ void look_up_nibbles(const Codes16& book, const uint8_t* bytes,
                                                uint32_t* q) {
  uint32_t words[kWords];
  load_words<kWords, kAlign>(bytes, words);
  for (int i = 0; i < kWords; ++i) {
    q[i] = look_up16(book, words[i] & 0x0f0f0f0fU);
    q[kWords + i] = look_up16(book, (words[i] >> 4) & 0x0f0f0f0fU);
  }
}

template <>
struct Unpack<quant::IQ4_NL> {
  static __device__ __forceinline__ void get(const quant::IQ4_NL::Block& b, int, Unit& unit) {
    constexpr Codes16 kBook = pack_codes16(quant::kIq4Values);
    unit.scale[0] = half_at(b.d);
    look_up_nibbles<4, 2>(kBook, b.qs, unit.q);
  }
};

template <>
struct Unpack<quant::IQ4_XS> {
  static __device__ __forceinline__ void get(const quant::IQ4_XS::Block& b, int u, Unit& unit) {
    constexpr Codes16 kBook = pack_codes16(quant::kIq4Values);
    const int low = (b.scales_l[u / 2] >> (4 * (u % 2))) & 15;
    const int high = static_cast<int>(load_as<uint16_t>(b.scales_h) >> (2 * u)) & 3;
    unit.scale[0] = half_at(b.d) * static_cast<float>((low | (high << 4)) - 32);
    look_up_nibbles<4, 4>(kBook, b.qs + 16 * u, unit.q);
  }
};

template <>
struct Unpack<quant::MXFP4> {
  static __device__ __forceinline__ void get(const quant::MXFP4::Block& b, int, Unit& unit) {
    constexpr Codes16 kBook = pack_codes16(quant::kE2m1Values);
    unit.scale[0] = quant::half_float_from_e8m0(b.e);
    look_up_nibbles<4, 1>(kBook, b.qs, unit.q);
  }
};

template <>
struct Unpack<quant::NVFP4> {
  static __device__ __forceinline__ void get(const quant::NVFP4::Block& b, int u, Unit& unit) {
    constexpr Codes16 kBook = pack_codes16(quant::kE2m1Values);
    for (int h = 0; h < 2; ++h) {
      const int g = 2 * u + h;
      unit.scale[h] = quant::NVFP4::half_scale(b.d[g]);
      look_up_nibbles<2, 4>(kBook, b.qs + 8 * g, unit.q + 4 * h);
    }
  }
};

// ---- vectors -----------------------------------------------------------------------------------

// Entry e of a codebook as kWords words of four bytes each.
template <int kEntries, int kWords>
struct Book {
  uint32_t words[kEntries][kWords];
};
template <int kWords, int kBits, int kEntries, int kLevels>
constexpr Book<kEntries, kWords> make_book(const uint16_t (&codes)[kEntries],
                                           const int8_t (&levels)[kLevels], int factor, int shift) {
  Book<kEntries, kWords> book{};
  for (int e = 0; e < kEntries; ++e) {
    for (int i = 0; i < 4 * kWords; ++i) {
      const int level = levels[(codes[e] >> (kBits * i)) & ((1 << kBits) - 1)];
      book.words[e][i / 4] |= static_cast<uint32_t>(level * factor + shift) << (8 * (i % 4));
    }
  }
  return book;
}
__device__ constexpr auto kIq2XxsBook =
    make_book<2, 2>(quant::kIq2XxsCodes, quant::kIq2Levels, 1, 0);
__device__ constexpr auto kIq2XsBook = make_book<2, 2>(quant::kIq2XsCodes, quant::kIq2Levels, 1, 0);
__device__ constexpr auto kIq2SBook = make_book<2, 2>(quant::kIq2SCodes, quant::kIq2Levels, 1, 0);
__device__ constexpr auto kIq3XxsBook =
    make_book<1, 3>(quant::kIq3XxsCodes, quant::kIq3XxsLevels, 1, 0);
__device__ constexpr auto kIq3SBook = make_book<1, 3>(quant::kIq3SCodes, quant::kIq3SLevels, 1, 0);
// 8 g + 16, so that no byte is negative until the shift of 1 and the 16 are taken off.
__device__ constexpr auto kIq1Book = make_book<2, 2>(quant::kIq1Codes, quant::kIq1Levels, 8, 16);

// Seven stored sign bits stand for eight: the last one makes the number of set bits even.
__device__ __forceinline__ uint32_t signs_of_7_bits(uint32_t bits) {
  bits &= 127U;
  const uint32_t folded = (bits ^ (bits >> 4)) & 15U;
  return bits | (((0x6996U >> folded) & 1U) << 7);  // bit i of 0x6996: the parity of i
}

// Bytes of `magnitudes` (none is 0), negative where a bit of the lowest four of `signs` is set.
__device__ __forceinline__ uint32_t with_signs(uint32_t magnitudes, uint32_t signs) {
  const uint32_t ones = spread_bits(signs);
  return (magnitudes ^ (ones * 0xffU)) + ones;
}
template <int kEntries>
__device__ __forceinline__ void vector8(const Book<kEntries, 2>& book, uint32_t entry,
                                        uint32_t signs, uint32_t* q) {
  q[0] = with_signs(book.words[entry][0], signs);
  q[1] = with_signs(book.words[entry][1], signs >> 4);
}

template <>
struct Unpack<quant::IQ2_XXS> {
  static __device__ __forceinline__ void get(const quant::IQ2_XXS::Block& b, int u, Unit& unit) {
    const uint8_t* const bytes = b.qs + 8 * u;
    const uint32_t word = load_word<2>(bytes + 4);
    unit.scale[0] = half_at(b.d) * (0.5F + static_cast<float>(word >> 28)) * 0.25F;
    for (int v = 0; v < 4; ++v) {
      vector8(kIq2XxsBook, bytes[v], signs_of_7_bits(word >> (7 * v)), unit.q + 2 * v);
    }
  }
};

// The two scales of a unit of IQ2_XS and IQ2_S.
__device__ __forceinline__ void iq2_scales(float d, uint32_t packed, Unit& unit) {
  for (int h = 0; h < 2; ++h) {
    unit.scale[h] = d * (0.5F + static_cast<float>((packed >> (4 * h)) & 15U)) * 0.25F;
  }
}

template <>
struct Unpack<quant::IQ2_XS> {
  static __device__ __forceinline__ void get(const quant::IQ2_XS::Block& b, int u, Unit& unit) {
    iq2_scales(half_at(b.d), b.scales[u], unit);
    for (int v = 0; v < 4; ++v) {
      const uint32_t word = load_as<uint16_t>(b.qs + 8 * u + 2 * v);
      vector8(kIq2XsBook, word & 511U, signs_of_7_bits(word >> 9), unit.q + 2 * v);
    }
  }
};

template <>
struct Unpack<quant::IQ2_S> {
  static __device__ __forceinline__ void get(const quant::IQ2_S::Block& b, int u, Unit& unit) {
    iq2_scales(half_at(b.d), b.scales[u], unit);
    for (int v = 0; v < 4; ++v) {
      const uint32_t upper = (static_cast<uint32_t>(b.qh[u]) >> (2 * v)) & 3U;
      vector8(kIq2SBook, b.qs[4 * u + v] | (upper << 8), b.signs[4 * u + v], unit.q + 2 * v);
    }
  }
};

template <>
struct Unpack<quant::IQ3_XXS> {
  static __device__ __forceinline__ void get(const quant::IQ3_XXS::Block& b, int u, Unit& unit) {
    const uint32_t word = load_word<2>(b.words + 4 * u);
    unit.scale[0] = half_at(b.d) * (0.5F + static_cast<float>(word >> 28)) * 0.5F;
    for (int v = 0; v < 8; ++v) {
      const uint32_t signs = signs_of_7_bits(word >> (7 * (v / 2)));
      unit.q[v] = with_signs(kIq3XxsBook.words[b.qs[8 * u + v]][0], signs >> (4 * (v % 2)));
    }
  }
};

template <>
struct Unpack<quant::IQ3_S> {
  static __device__ __forceinline__ void get(const quant::IQ3_S::Block& b, int u, Unit& unit) {
    const int s = (b.scales[u / 2] >> (4 * (u % 2))) & 15;
    unit.scale[0] = half_at(b.d) * static_cast<float>(1 + 2 * s);
    for (int v = 0; v < 8; ++v) {
      const uint32_t entry = b.qs[8 * u + v] | (((static_cast<uint32_t>(b.qh[u]) >> v) & 1U) << 8);
      const uint32_t signs = static_cast<uint32_t>(b.signs[4 * u + v / 2]) >> (4 * (v % 2));
      unit.q[v] = with_signs(kIq3SBook.words[entry][0], signs);
    }
  }
};

__device__ __forceinline__ void iq1_vector(uint32_t entry, bool shift_down, uint32_t* q) {
  const uint32_t less = every_byte(shift_down ? 17 : 15);
  q[0] = subtract_bytes(kIq1Book.words[entry][0], less);
  q[1] = subtract_bytes(kIq1Book.words[entry][1], less);
}

template <>
struct Unpack<quant::IQ1_S> {
  static __device__ __forceinline__ void get(const quant::IQ1_S::Block& b, int u, Unit& unit) {
    const uint32_t word = load_as<uint16_t>(b.qh + 2 * u);
    unit.scale[0] = half_at(b.d) * static_cast<float>(2 * ((word >> 12) & 7U) + 1) * 0.125F;
    for (int v = 0; v < 4; ++v) {
      const uint32_t entry = b.qs[4 * u + v] | (((word >> (3 * v)) & 7U) << 8);
      iq1_vector(entry, (word & 0x8000U) != 0, unit.q + 2 * v);
    }
  }
};

template <>
struct Unpack<quant::IQ1_M> {
  static __device__ __forceinline__ void get(const quant::IQ1_M::Block& b, int u, Unit& unit) {
    uint32_t bits = 0;
    for (int i = 0; i < 4; ++i) bits |= (load_as<uint16_t>(b.scales + 2 * i) >> 12) << (4 * i);
    const float d = float_from_half(static_cast<uint16_t>(bits));
    for (int h = 0; h < 2; ++h) {
      const int g = 2 * u + h;
      const uint32_t s = (load_as<uint16_t>(b.scales + 2 * (g / 4)) >> (3 * (g % 4))) & 7U;
      unit.scale[h] = d * static_cast<float>(2 * s + 1) * 0.125F;
    }
    for (int v = 0; v < 4; ++v) {
      const int at = 4 * u + v;
      const uint32_t nibble = (static_cast<uint32_t>(b.qh[at / 2]) >> (4 * (at % 2))) & 15U;
      iq1_vector(b.qs[at] | ((nibble & 7U) << 8), (nibble & 8U) != 0, unit.q + 2 * v);
    }
  }
};

}  // namespace
}  // namespace llmrun::kernels::cuda
