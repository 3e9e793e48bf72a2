// The ops of the CPU backend: work divided among threads, kernels taken from the target's table.
// How work is divided never changes a result: every output element is computed by one task.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/backend.h"
#include "kernels/cpu/targets.h"
#include "kernels/cpu/workspace.h"
#include "kernels/ops.h"

namespace llmrun::kernels::cpu {

// How the attention of one sequence is cut: `heads` of one key/value head and `tokens` in a task,
// each task's keys in `splits` (1: whole) of `split_segments` segments.
struct AttentionWork {
  int64_t heads, parts;  // parts of a key/value head's queries
  int64_t tokens, blocks;
  int64_t splits, split_segments;
  int64_t n_tasks;
  // Where its partial results and the counters of its parts begin, when there are splits.
  int64_t first_partial, part_floats;
  int64_t first_counter;
};

class CpuOps final : public Ops {
 public:
  CpuOps(const TargetTable& table, ThreadPool& pool, MatmulObserver* observer)
      : table_(table), pool_(pool), observer_(observer) {}

  [[nodiscard]] size_t workspace_bytes(int64_t max_tokens, int64_t max_width) const;
  Result<void> reserve(int64_t max_tokens, int64_t max_width);

  void matmul(const MatmulParams& params) override;
  void expert_matmul(const ExpertMatmulParams& params) override;
  void head_matmul(const HeadMatmulParams& params) override;
  void embed(const EmbedParams& params) override;
  void norm(const NormParams& params) override;
  void rope(const RopeParams& params) override;
  void gated_activation(const GatedActivationParams& params) override;
  void feed_forward(const FeedForwardParams& params) override;
  void add(const AddParams& params) override;
  void multiply(const MultiplyParams& params) override;
  void scale(const ScaleParams& params) override;
  void group_dot(const GroupDotParams& params) override;
  void mix_rows(const MixRowsParams& params) override;
  void kv_write(std::span<const KvWriteParams> sequences) override;
  void attention(std::span<const AttentionParams> sequences) override;
  void route(const RouteParams& params) override;
  void combine_experts(const CombineExpertsParams& params) override;
  void causal_conv(const CausalConvParams& params) override;
  void state_space(const StateSpaceParams& params) override;
  void delta_rule(const DeltaRuleParams& params) override;

 private:
  [[nodiscard]] size_t tile_bytes(int64_t n_in) const;
  [[nodiscard]] size_t tiles_bytes(int64_t n_tokens, int64_t n_in) const;  // of all their tiles
  // Rows per task of a product with n_tokens and n_rows outputs in all.
  [[nodiscard]] int64_t rows_per_task(int64_t n_rows, int64_t n_tokens) const;
  template <typename RowAt>
  void quantize_tile(ActivationGroup group, const RowAt& row_at, int64_t n_rows, int64_t tile,
                     int64_t n_values, uint8_t* to) const;
  template <typename RowAt>
  void quantize_rows(ActivationGroup group, const RowAt& row_at, int64_t n_rows, int64_t n_values,
                     size_t tile_stride, uint8_t* to) const;
  uint8_t* quantize_on_all(ActivationGroup group, const ConstRows& x);
  template <typename Fn>
  void for_tasks(int64_t work, int64_t n_tasks, Fn&& compute);
  // The products of one matmul or expert_matmul; `tiles` are the quantised x, null for float types.
  void multiply(const ConstRows& x, std::span<const MatmulOutput> outputs, const uint8_t* tiles);
  // Rows [begin, end) of one of them.
  void multiply_rows(const ConstRows& x, const MatmulOutput& output, const uint8_t* tiles,
                     int64_t begin, int64_t end, uint8_t* scratch) const;
  struct ExpertPairs {
    int64_t n_experts, n_pairs;
    const int32_t* first;       // [n_experts + 1]: where the pairs of an expert begin in x_rows
    const int32_t* first_tile;  // [n_experts + 1]: and its tiles
    const int32_t *x_rows, *y_rows;
  };
  ExpertPairs sort_pairs(const ExpertMatmulParams& params);
  void multiply_experts(const ConstRows& x, const ExpertPairs& pairs,
                        std::span<const ExpertMatmulOutput> outputs, const uint8_t* tiles);
  // Columns [begin, end) of a feed-forward's activation, quantised to `hidden`, which the last
  // product reads. `x` are the quantised rows of the input.
  void activate_columns(const FeedForwardParams& params, const uint8_t* x, int64_t begin,
                        int64_t end, uint8_t* hidden, float* columns, uint8_t* scratch) const;
  [[nodiscard]] int64_t column_floats() const;  // that this needs of columns
  [[nodiscard]] size_t feed_forward_bytes(int64_t n_tokens, int64_t n_ff) const;
  uint8_t* product_scratch();
  uint8_t* part_of(uint8_t* scratch, int thread) const;
  [[nodiscard]] size_t attention_scratch(int64_t k_dim, int64_t v_dim) const;  // per thread
  [[nodiscard]] size_t thread_scratch_bytes() const;                           // all threads
  [[nodiscard]] static size_t partials_bytes(int64_t max_width);
  // Cuts up the work of all sequences; sets up what their splits share. The number of tasks.
  int64_t divide_attention(std::span<const AttentionParams> sequences);
  void attend(const AttentionParams& p, const AttentionWork& work, int64_t task, uint8_t* scratch);

  const TargetTable& table_;
  ThreadPool& pool_;
  MatmulObserver* observer_;                   // null: none
  Workspace activations_;                      // tiles of quantised rows
  Workspace scratch_;                          // of products and attention, per thread
  Workspace feed_forward_;                     // its quantised activation, and columns per thread
  Workspace partials_;                         // of attention whose keys are divided among threads
  Workspace indices_;                          // rows of expert products, grouped
  std::vector<AttentionWork> attention_work_;  // of each sequence
  std::deque<std::atomic<int64_t>> unfinished_;  // splits of each part of their heads
};

}  // namespace llmrun::kernels::cpu
