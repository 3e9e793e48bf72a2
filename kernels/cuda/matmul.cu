// What products share whatever their type: rows to int8, with a scale for every 16 values, and the
// table of the types' launchers. The products themselves are in products.cuh.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/products.h"
#include "kernels/cuda/quantize.cuh"
#include "kernels/cuda/unpack.cuh"

namespace llmrun::kernels::cuda {
namespace {

// A warp takes 32 values, a lane each.
__global__ void __launch_bounds__(kThreads) quantize(QuantizeParams p) {
  const int64_t warp = thread_index() / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t n_units = p.width / kUnitSize;
  if (warp >= p.x.n * p.n_inner * n_units) return;
  const int64_t row = warp / n_units;
  const int64_t at = warp % n_units * kUnitSize + lane;
  const float* const x = p.x.data + row / p.n_inner * p.x.stride + row % p.n_inner * p.inner_stride;
  write_quantized(x[at], row * p.width + at, p.out);
}

// A thread per row and 16 values, of which those of a row are side by side.
__global__ void __launch_bounds__(kThreads) pack(PackParams p) {
  const int64_t index = thread_index();
  const int64_t n_pieces = n_unit_pieces(p.width);
  const auto half = static_cast<int>(index % kPackHalves);
  const int64_t row = index / kPackHalves / n_pieces;
  const int64_t piece = index / kPackHalves % n_pieces;
  if (row >= n_row_pieces(p.n) * kPackRows) return;
  uint4 q = {};
  float scale = 0.0F;
  float sum = 0.0F;
  const int64_t k = (piece * kPackHalves + half) * 16;
  if (row < p.n && k < p.width) {
    const int64_t at = row * p.width + k;
    q = load_as<uint4>(p.rows.q + at);
    scale = p.rows.scales[at / 16];
    sum = p.rows.sums[at / 16];
  }
  std::byte* const to = p.out + (row / kPackRows * n_pieces + piece) * kPieceBytes;
  const int place = half * kPackRows + static_cast<int>(row % kPackRows);
  reinterpret_cast<uint4*>(to)[place] = q;
  auto* const scales = reinterpret_cast<float*>(to + kPackValues);
  scales[place] = scale;
  scales[kPackHalves * kPackRows + place] = sum;
}

const TypeLaunchers& launchers(TensorType type) {
  static const TypeLaunchers all[] = {
#define LLMRUN_TENSOR_TYPE(type, id, name, header) launchers_of_##type(),
#include "kernels/quant/types.def"
#undef LLMRUN_TENSOR_TYPE
  };
  return all[static_cast<size_t>(type)];
}

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace

cudaError_t launch_quantize(const QuantizeParams& p, Queue& queue) {
  if (p.width % kUnitSize != 0 || !is_aligned(p.out.q)) return cudaErrorInvalidValue;
  const int64_t n_threads = p.x.n * p.n_inner * p.width;
  const unsigned blocks = blocks_for(n_threads);
  if (blocks == 0 && n_threads > 0) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, quantize, p);
}

cudaError_t launch_pack(const PackParams& p, Queue& queue) {
  if (p.width % kUnitSize != 0 || !is_aligned(p.rows.q) || !is_aligned(p.out)) {
    return cudaErrorInvalidValue;
  }
  const int64_t n_threads = n_row_pieces(p.n) * kPackRows * n_unit_pieces(p.width) * kPackHalves;
  const unsigned blocks = blocks_for(n_threads);
  if (blocks == 0 && n_threads > 0) return cudaErrorInvalidValue;
  return launch({blocks, 1, 1}, kThreads, 0, queue, pack, p);
}

cudaError_t launch_products(std::span<const ProductParams> products, Queue& queue) {
  if (products.empty() || products.size() > kMaxProducts) return cudaErrorInvalidValue;
  ProductSet set;
  for (const ProductParams& p : products) {
    if (!is_aligned(p.weight.data) || p.n_jobs < 0 || p.max_count < 0 ||
        p.weight.type != products[0].weight.type || p.n_jobs != products[0].n_jobs ||
        p.max_count != products[0].max_count ||
        (p.packed != nullptr && (p.packed != products[0].packed || p.x_rows != nullptr ||
                                 p.jobs != nullptr || p.n_jobs != 1))) {
      return cudaErrorInvalidValue;
    }
    set.products[set.n++] = p;
  }
  return launchers(products[0].weight.type).products(set, queue);
}

cudaError_t launch_gated_products(const ProductParams& gate, const ProductParams& up,
                                  const GatedActivationParams& op, const QuantizedRows& quantized,
                                  Queue& queue) {
  const auto is_one = [&](const ProductParams& p) {
    return is_aligned(p.weight.data) && p.jobs == nullptr && p.n_jobs == 1 &&
           p.job.count == op.gate.n && p.weight.type == gate.weight.type &&
           p.weight.n_in == gate.weight.n_in && p.weight.n_out == op.gate.width;
  };
  if (!is_one(gate) || !is_one(up) || op.gate.n > kDecodeRows ||
      (quantized.q != nullptr && op.gate.width % kUnitSize != 0)) {
    return cudaErrorInvalidValue;
  }
  return launchers(gate.weight.type).gated({op, quantized, {gate, up}}, queue);
}

cudaError_t launch_embed(const EmbedParams& p, const int32_t* ids, int64_t n, Queue& queue) {
  if (!is_aligned(p.table.data)) return cudaErrorInvalidValue;
  return launchers(p.table.type).embed({p.table, ids, n, p.scale, p.y}, queue);
}

}  // namespace llmrun::kernels::cuda
