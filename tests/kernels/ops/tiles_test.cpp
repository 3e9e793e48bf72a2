// Products in tile registers give the bits of those in vectors for every block type, and nearly the
// truth for BF16, with the tiles in software (emulated_tiles.h), on any CPU with AVX-512.
#include <algorithm>
#include <cmath>

#include "base/aligned_buffer.h"
#include "kernels/cpu/targets.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace cpu {
extern const MatmulKernels k_matmul_emulated_tiles;
extern const MatmulKernels k_matmul_avx512;
}  // namespace cpu

namespace {

std::vector<float> product(const cpu::MatmulKernels& kernels, TensorType type,
                           const PackedWeight& packed, const std::vector<float>& x,
                           int64_t n_tokens) {
  const int64_t n_in = packed.weight.n_in;
  const int64_t n_out = packed.weight.n_out;
  const cpu::ProductKernel& kernel = kernels.products[static_cast<size_t>(type)];
  const int64_t tile_tokens = kernels.tile_tokens;
  const auto tile_bytes =
      static_cast<size_t>(n_in / 32 * tile_tokens) * sizeof(cpu::ActivationBlock);
  const auto n_tiles = static_cast<size_t>(
      quant::traits(type).is_float ? 0 : (n_tokens + tile_tokens - 1) / tile_tokens);
  auto tiles = AlignedBuffer::allocate(n_tiles * tile_bytes + 64, 64).value();
  auto scratch = AlignedBuffer::allocate(kernels.product_scratch, 4096).value();
  auto* activations = reinterpret_cast<uint8_t*>(tiles.bytes().data());
  for (size_t tile = 0; tile < n_tiles; ++tile) {
    const float* rows[16];
    const int64_t first = static_cast<int64_t>(tile) * tile_tokens;
    const int64_t n = std::min(tile_tokens, n_tokens - first);
    for (int64_t t = 0; t < n; ++t) rows[t] = x.data() + (first + t) * n_in;
    kernels.quantize_tile[kernel.activations](rows, n, n_in, activations + tile * tile_bytes);
  }
  std::vector<float> y(static_cast<size_t>(n_tokens * n_out), -7.0F);
  cpu::Product p{};
  p.weights = reinterpret_cast<const uint8_t*>(packed.weight.row(0, 0));
  p.row_bytes = packed.weight.row_bytes;
  p.n_in = n_in;
  p.n_tokens = n_tokens;
  p.activations = activations;
  p.x = x.data();
  p.x_stride = n_in;
  p.y = y.data();
  p.y_stride = n_out;
  kernel.run(p, 0, n_out, reinterpret_cast<uint8_t*>(scratch.bytes().data()));
  return y;
}

bool has_avx512() {
  const auto targets = cpu_targets();
  return std::any_of(targets.begin(), targets.end(), [](const CpuTarget& target) {
    return target.name == "avx512" && target.available;
  });
}

TEST(Tiles, GiveTheBitsOfVectors) {
  if (!has_avx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  Random random(7);
  for (const TensorType type : all_types()) {
    if (quant::traits(type).is_float) continue;
    for (const int64_t n_in : {int64_t{512}, int64_t{1536}}) {
      for (const int64_t n_tokens : {5, 8, 9, 31}) {
        const PackedWeight packed(type, 1 + random.below(70), n_in, 1, random);
        const std::vector<float> x = random.values(n_tokens * n_in);
        ASSERT_TRUE(same_bits(product(cpu::k_matmul_avx512, type, packed, x, n_tokens),
                              product(cpu::k_matmul_emulated_tiles, type, packed, x, n_tokens)))
            << quant::traits(type).name << " n_in " << n_in << " n_out " << packed.weight.n_out
            << " n_tokens " << n_tokens;
      }
    }
  }
}

// Within the error of float32 sums, for odd sizes: rows left over, values left over, several
// slices.
TEST(Tiles, HalvesAreNearTheTruthAndTokensAlone) {
  if (!has_avx512()) GTEST_SKIP() << "this CPU has no AVX-512";
  Random random(11);
  for (const int64_t n_in : {32, 96, 1000, 1024, 2080}) {
    for (const int64_t n_out : {1, 16, 37, 64, 300}) {
      const PackedWeight packed(TensorType::BF16, n_out, n_in, 1, random);
      std::vector<float> weights(static_cast<size_t>(n_in));
      const int64_t n_most = 33;
      const std::vector<float> x = random.values(n_most * n_in);
      const auto all = product(cpu::k_matmul_emulated_tiles, TensorType::BF16, packed, x, n_most);
      for (int64_t row = 0; row < n_out; ++row) {
        quant::dequantize_row(TensorType::BF16, packed.weight.row(0, row), n_in, weights.data());
        for (int64_t t = 0; t < n_most; ++t) {
          double truth = 0, size = 0;
          for (int64_t k = 0; k < n_in; ++k) {
            const double term = static_cast<double>(weights[static_cast<size_t>(k)]) *
                                x[static_cast<size_t>(t * n_in + k)];
            truth += term;
            size += std::fabs(term);
          }
          ASSERT_NEAR(all[static_cast<size_t>(t * n_out + row)], truth, 3e-7 * size)
              << "n_in " << n_in << " n_out " << n_out << " row " << row << " token " << t;
        }
      }
      for (const int64_t n_tokens : {1, 2, 16, 17, 32}) {  // a token's result is its own
        auto some = product(cpu::k_matmul_emulated_tiles, TensorType::BF16, packed, x, n_tokens);
        ASSERT_TRUE(same_bits(some, {all.begin(), all.begin() + n_tokens * n_out}))
            << "n_in " << n_in << " n_out " << n_out << " n_tokens " << n_tokens;
      }
    }
  }
}

}  // namespace
}  // namespace llmrun::kernels
