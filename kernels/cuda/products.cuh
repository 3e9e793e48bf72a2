// Products on the device, as templates over the tensor type. Every output is summed in one order,
// by all kernels alike: the exact integer sums of 32 values become one float term, and terms are
// added from the first to the last. So a row's result does not depend on how many rows there are,
// or on which kernel computed it.
//   decode        few rows: packed weights are read once, dp4a (F32: fma)
//   decode_gated  the same, of two products and the activation that reads them
//   tile_blocks   many rows: weights unpacked to shared memory once per 32 rows, mma.sync
//   tile_warpgroups  the same where it is said to be faster (product_forms.h), with wgmma
//   tile_floats   the same for F32, with fma
// F16 and BF16: products_half.cuh.
#pragma once

#include "kernels/cuda/decode.cuh"
#include "kernels/cuda/tile.cuh"
#include "kernels/cuda/tile_warpgroup.cuh"

namespace llmrun::kernels::cuda {
namespace {  // NOLINT(google-build-namespaces): see device.cuh

// ---- rows of a table ---------------------------------------------------------------------------

template <typename Policy>
__global__ void __launch_bounds__(kThreads) embed_rows(EmbedRowsParams p) {
  const int64_t n_units = (p.table.n_in + kUnitSize - 1) / kUnitSize;
  const int64_t index = thread_index();
  if (index >= p.n * n_units) return;
  const int64_t t = index / n_units;
  const int64_t unit = index % n_units;
  const auto* const row = reinterpret_cast<const uint8_t*>(p.table.data) +
                          static_cast<size_t>(p.ids[t]) * p.table.row_bytes;
  float* const y = p.y.data + t * p.y.stride + unit * kUnitSize;
  if constexpr (Policy::kIsFloat) {
    const int64_t n = min(static_cast<int64_t>(kUnitSize), p.table.n_in - unit * kUnitSize);
    for (int64_t i = 0; i < n; ++i) {
      y[i] = float_value<Policy>(row, unit * kUnitSize + i) * p.scale;
    }
  } else {
    Unit w;
    get_unit<Policy>(row, static_cast<int>(unit), w);
    for (int i = 0; i < kUnitSize; ++i) {
      const int h = Policy::kGroupSize == 32 ? 0 : i / 16;
      const auto q = static_cast<int8_t>(w.q[i / 4] >> (8 * (i % 4)));
      float value = w.scale[h] * static_cast<float>(q);
      if constexpr (Policy::kHasOffset) value += w.offset[h];
      y[i] = value * p.scale;
    }
  }
}

// ---- launching ---------------------------------------------------------------------------------

// `outputs` of a product are one block's, or those of one row of blocks.
inline cudaError_t launch_set(ProductSet set, int64_t outputs, unsigned rows_of_blocks,
                              unsigned threads, size_t shared, Queue& queue,
                              void (*kernel)(ProductSet)) {
  unsigned n_blocks = 0;
  for (int i = 0; i < set.n; ++i) {
    const unsigned n = blocks_for(set.products[i].weight.n_out, outputs);
    if (n == 0 || n > 0x7fffffff - n_blocks) return cudaErrorInvalidValue;
    set.n_blocks[i] = static_cast<int32_t>(n);
    n_blocks += n;
  }
  return launch({n_blocks, rows_of_blocks, static_cast<unsigned>(set.products[0].n_jobs)}, threads,
                shared, queue, kernel, set);
}

template <typename Policy>
cudaError_t launch_type(const ProductSet& set, Queue& queue) {
  const int32_t n_rows = set.products[0].max_count;
  if (n_rows <= kDecodeRows) {
    return launch_set(set, kDecodeOutputs, 1, kDecodeWarps * 32, shared_bytes<float>(kDecodeTerms),
                      queue, decode<Policy>);
  }
  if constexpr (!Policy::kIsFloat) {
    if (set.products[0].packed != nullptr) {
      return launch_set(set, kGroupOutputs, blocks_for(n_rows, kPackRows), kWarpGroupThreads,
                        WarpGroupTile::bytes(), queue, tile_warpgroups<Policy>);
    }
  }
  const unsigned rows_of_blocks = blocks_for(n_rows, kTileRows);
  if constexpr (Policy::kIsFloat) {
    constexpr size_t kShared = shared_bytes<float>(kTileOutputs * kFloatStride) +
                               shared_bytes<float>(kTileRows * kFloatStride);
    return launch_set(set, kTileOutputs, rows_of_blocks, kTileThreads, kShared, queue,
                      tile_floats<Policy>);
  } else {
    return launch_set(set, kTileOutputs, rows_of_blocks, kTileThreads, BlockTile<Policy>::bytes(),
                      queue, tile_blocks<Policy>);
  }
}

inline cudaError_t launch_pair(const GatedPair& pair, int64_t outputs, size_t shared, Queue& queue,
                               void (*kernel)(GatedPair)) {
  const unsigned n_blocks = blocks_for(pair.products[0].weight.n_out, outputs);
  if (n_blocks == 0) return cudaErrorInvalidValue;
  return launch({n_blocks, 1, 1}, 2 * kDecodeWarps * 32, shared, queue, kernel, pair);
}

template <typename Policy>
cudaError_t launch_gated_type(const GatedPair& pair, Queue& queue) {
  constexpr size_t kShared =
      shared_bytes<float>(2 * kDecodeTerms) + shared_bytes<float>(2 * kDecodeRows * kDecodeOutputs);
  return launch_pair(pair, kDecodeOutputs, kShared, queue, decode_gated<Policy>);
}

template <typename Policy>
cudaError_t launch_embed_type(const EmbedRowsParams& p, Queue& queue) {
  const unsigned blocks = blocks_for(p.n * ((p.table.n_in + kUnitSize - 1) / kUnitSize));
  if (blocks == 0 && p.n > 0) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, embed_rows<Policy>, p);
}

}  // namespace

#define LLMRUN_PRODUCTS(type)                                         \
  TypeLaunchers launchers_of_##type() {                               \
    return {launch_type<quant::type>, launch_gated_type<quant::type>, \
            launch_embed_type<quant::type>};                          \
  }

}  // namespace llmrun::kernels::cuda