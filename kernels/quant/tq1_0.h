// TQ1_0: ternary, 256 values share a float16 scale; q = digit - 1, five base-3 digits to a byte.
// A byte b stands for the fraction b / 256, whose digits come out from the top: digit n is the
// integer part of 3 * frac(b * 3^n / 256). 1.69 bits per value.
// Digit n of qs[m]: value 32 n + m for m < 32, value 160 + 16 n + m - 32 above; of qh[m]
// (four digits): value 240 + 4 n + m.
#pragma once

#include "kernels/quant/fit.h"
#include "kernels/quant/policy.h"

namespace llmrun::quant {
namespace {  // NOLINT(google-build-namespaces): see "Linkage" in policy.h

struct TQ1_0 {
  static constexpr TensorType kType = TensorType::TQ1_0;
  static constexpr int kBlockSize = kSuperBlock;
  static constexpr int kGroupSize = 32;
  static constexpr bool kHasOffset = false;
  static constexpr bool kIsFloat = false;
  static constexpr int kMaxAbs = 1;
  struct Block {
    uint8_t qs[48];
    uint8_t qh[4];
    Half d;
  };
  static_assert(sizeof(Block) == 54);

  static void unpack(const Block& block, int8_t* q, float* scale, float* /*offset*/) {
    for (int g = 0; g < 8; ++g) scale[g] = block.d.get();
    split_digits(block.qs, 32, 5, q);
    split_digits(block.qs + 32, 16, 5, q + 160);
    split_digits(block.qh, 4, 4, q + 240);
  }

  static void quantize(const float* in, const float* weights, Block& block) {
    int8_t q[kSuperBlock];
    const float d = block.d.set(fit_scale(in, weights, kSuperBlock, -1, 1));
    round_all(in, kSuperBlock, d, 0.0F, -1, 1, q);
    join_digits(q, 32, 5, block.qs);
    join_digits(q + 160, 16, 5, block.qs + 32);
    join_digits(q + 240, 4, 4, block.qh);
  }

  static void split_digits(const uint8_t* bytes, int n_bytes, int n_digits, int8_t* q) {
    unsigned power = 1;
    for (int n = 0; n < n_digits; ++n, power *= 3) {
      for (int m = 0; m < n_bytes; ++m) {
        const unsigned fraction = (bytes[m] * power) & 255U;
        q[n * n_bytes + m] = static_cast<int8_t>(static_cast<int>((fraction * 3) >> 8) - 1);
      }
    }
  }

  static void join_digits(const int8_t* q, int n_bytes, int n_digits, uint8_t* bytes) {
    for (int m = 0; m < n_bytes; ++m) {
      unsigned number = 0;
      for (int n = 0; n < 5; ++n) {
        number = number * 3 + (n < n_digits ? static_cast<unsigned>(q[n * n_bytes + m] + 1) : 0U);
      }
      bytes[m] = static_cast<uint8_t>((number * 256 + 242) / 243);  // round up: digits survive
    }
  }

  static void dequantize(const Block& block, float* out) {
    dequantize_by_unpack<TQ1_0>(block, out);
  }
};

}  // namespace
}  // namespace llmrun::quant
