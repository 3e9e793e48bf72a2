// The kernels of one CPU target as tables of plain function pointers: all that the rest of the
// program sees of code compiled for an instruction set. No inline function may stand here, because
// a copy compiled for AVX-512 could then replace the one that old CPUs run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/ops.h"

namespace llmrun::kernels::cpu {

// ---- products (matmul.inc) ---------------------------------------------------------------------

// Activations as integer kernels read them: per token and 32 values one cache line of int8 values,
// their scales and their sums. Tokens lie in tiles of `tile_tokens`: [tile][block of 32][token].
// With one scale per 32 values both scales are the same.
struct ActivationBlock {
  int8_t q[32];
  float scales[2];        // x = scales[i / 16] * q[i]
  int32_t minus_sums[2];  // of q[0..15] and q[16..31], negated
  float scaled_sums[2];   // scales[i] * sum of q
  float scaled_sum;       // of both halves
  int32_t minus_sum;      // of both halves
};

// How many activations share a scale. 32-value types are multiplied with 16, which takes an eighth
// off the error; types of 256-value blocks with 32, because each scale is a multiplication of its
// own and their peers' kernels share one among 256.
enum ActivationGroup : int8_t { kGroupOf16, kGroupOf32, kActivationGroups };

// y[row(t), o] = scale * sum_i w[o, i] * x[t, i] + bias[o] (+ y), for rows o of one matrix.
struct Product {
  const uint8_t* weights;
  size_t row_bytes;
  int64_t n_in;
  int64_t n_tokens;
  const uint8_t* activations;  // tiles of ActivationBlock, for block types
  const float* x;              // for float types: row t is x + x_rows[t] * x_stride
  int64_t x_stride;
  const int32_t* x_rows;  // null: x_rows[t] = t
  float* y;
  int64_t y_stride;
  const int32_t* y_rows;  // null: y_rows[t] = t
  const float* bias;      // [n_out] or null
  const float* scale;     // one value or null
  bool accumulate;
};
using ProductFunction = void (*)(const Product& product, int64_t row_begin, int64_t row_end,
                                 uint8_t* scratch);

struct ProductKernel {
  ProductFunction run;
  bool is_float;                // reads x, not activations
  ActivationGroup activations;  // as it needs them
};

struct MatmulKernels {
  int lanes;               // rows that are computed together; tasks are multiples of it
  int tile_tokens;         // tokens per tile of activations
  int task_rows;           // rows of a task with more tokens than a tile has, at most
  size_t product_scratch;  // bytes per thread
  using QuantizeTile = void (*)(const float* const* rows, int64_t n_rows, int64_t n_in,
                                uint8_t* tile);
  QuantizeTile quantize_tile[kActivationGroups];
  const ProductKernel* products;  // by TensorType
};

// ---- row-wise ops (rows.inc) -------------------------------------------------------------------

// A part of a matrix that one task computes.
struct Region {
  int64_t row_begin;
  int64_t row_end;
  int64_t column_begin;
  int64_t column_end;
};

struct RowKernels {
  void (*norm)(const NormParams& params, int64_t row_begin, int64_t row_end);
  void (*rope)(const RopeParams& params, const int32_t* positions, int64_t row_begin,
               int64_t row_end);
  void (*gated_activation)(const GatedActivationParams& params, const Region& region);
  void (*add)(const AddParams& params, const Region& region);
  void (*multiply)(const MultiplyParams& params, const Region& region);
  void (*scale)(const ScaleParams& params, const Region& region);
  void (*combine_experts)(const CombineExpertsParams& params, int64_t row_begin, int64_t row_end);
  void (*group_dot)(const GroupDotParams& params, int64_t row_begin, int64_t row_end);
  void (*mix_rows)(const MixRowsParams& params, int64_t row_begin, int64_t row_end);
};

// ---- attention (attention.inc) -----------------------------------------------------------------

// The queries of some heads of one key/value head and some tokens (at most kMaxQueries of them)
// over some pages: all they see, or, with `partials`, whole segments of the pages that one token
// sees, whose partial results are left there one after the other.
inline constexpr int64_t kMaxQueries = 64;
inline constexpr int64_t kMaxSegments = 33;  // of a query
struct AttentionTask {
  std::byte* const* k_pages;
  std::byte* const* v_pages;
  int64_t kv_head;
  int64_t head_begin, head_end;
  int64_t token_begin, token_end;
  int64_t page_begin, page_end;
  float* partials;
};

// The pages with keys that a token sees. Segments begin at multiples of per_segment.
struct VisiblePages {
  int64_t begin, end;
  int64_t per_segment;
};

struct KvWriteTask {
  std::byte* const* k_pages;
  std::byte* const* v_pages;
  int64_t head_begin, head_end;
  int64_t row_begin, row_end;
};

struct AttentionKernels {
  // Floats of scratch that one task needs.
  int64_t (*scratch_floats)(int64_t k_dim, int64_t v_dim);
  // Floats of the partial result of one segment and n_rows queries.
  int64_t (*partial_floats)(const AttentionParams& params, int64_t n_rows);
  void (*visible_pages)(const AttentionParams& params, int64_t token, VisiblePages* pages);
  void (*attend)(const AttentionParams& params, const AttentionTask& task, float* scratch);
  // Writes the results of a task from the partial ones of all segments that it sees.
  void (*merge)(const AttentionParams& params, const AttentionTask& task, int64_t n_segments,
                float* scratch);
  void (*write)(const KvWriteParams& params, const KvWriteTask& task);
};

// ---- recurrent mixers (recurrent.inc) ----------------------------------------------------------

// Each computes all tokens of the channels, or of the rows of state (n_heads * head_dim,
// n_heads * v_dim), in [begin, end).
struct RecurrentKernels {
  void (*causal_conv)(const CausalConvParams& params, int64_t begin, int64_t end);
  void (*state_space)(const StateSpaceParams& params, int64_t begin, int64_t end);
  void (*delta_rule)(const DeltaRuleParams& params, int64_t begin, int64_t end);
};

struct TargetTable {
  const char* name;
  const MatmulKernels* matmul;
  const RowKernels* rows;
  const AttentionKernels* attention;
  const RecurrentKernels* recurrent;
};

}  // namespace llmrun::kernels::cpu
