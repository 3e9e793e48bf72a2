// The memory plan: what a context takes, found by running the forward pass on an arena that only
// measures, with ops that do nothing.
#include "runtime/memory_plan.h"

#include <algorithm>

#include "base/checked_math.h"
#include "base/error.h"
#include "runtime/context_plan.h"

namespace llmrun::runtime {
namespace {

constexpr int64_t kMaxBatchTokens = int64_t{1} << 20;
constexpr int64_t kMaxSequences = int64_t{1} << 16;
constexpr int64_t kMaxContextTokens = int64_t{1} << 30;

class NullOps final : public kernels::Ops {
 public:
  void matmul(const kernels::MatmulParams&) override {}
  void expert_matmul(const kernels::ExpertMatmulParams&) override {}
  void head_matmul(const kernels::HeadMatmulParams&) override {}
  void embed(const kernels::EmbedParams&) override {}
  void norm(const kernels::NormParams&) override {}
  void rope(const kernels::RopeParams&) override {}
  void gated_activation(const kernels::GatedActivationParams&) override {}
  void add(const kernels::AddParams&) override {}
  void multiply(const kernels::MultiplyParams&) override {}
  void scale(const kernels::ScaleParams&) override {}
  void kv_write(const kernels::KvWriteParams&) override {}
  void attention(const kernels::AttentionParams&) override {}
  void route(const kernels::RouteParams&) override {}
  void combine_experts(const kernels::CombineExpertsParams&) override {}
};

Result<void> check(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return {};
  return make_error(ErrorCode::kUsage, "{} is {}, but must lie in {} to {}", name, value, min, max);
}

// Fills in what the options leave to the model.
Result<ContextOptions> resolve(const ModelSpec& spec, ContextOptions options) {
  if (options.context_tokens == 0) options.context_tokens = spec.context_length;
  if (options.logits_rows == 0) options.logits_rows = options.batch_tokens;
  LLMRUN_TRY(check("the context size", options.context_tokens, 1, kMaxContextTokens));
  LLMRUN_TRY(check("the number of sequences", options.max_sequences, 1, kMaxSequences));
  LLMRUN_TRY(check("the batch size", options.batch_tokens, 1, kMaxBatchTokens));
  LLMRUN_TRY(check("the number of logits rows", options.logits_rows, 1, kMaxBatchTokens));
  if (spec.max_positions > 0 && options.context_tokens > spec.max_positions) {
    return make_error(ErrorCode::kUsage,
                      "a context of {} tokens is more than the {} positions this model has "
                      "learned; ask for at most that many",
                      options.context_tokens, spec.max_positions);
  }
  options.logits_rows = std::min(options.logits_rows, options.batch_tokens);
  return options;
}

// The largest product the ops will see, for their workspace.
void measure_products(const ModelSpec& spec, ContextPlan& plan) {
  int64_t max_used = 1;
  for (const LayerSpec& layer : spec.layers) {
    for (const Ffn* ffn : {&layer.ffn, &layer.side_ffn}) {
      if (const auto* moe = std::get_if<MoeFfn>(ffn)) max_used = std::max(max_used, moe->n_used);
    }
    if (const auto* latent = std::get_if<LatentAttention>(&layer.mixer)) {
      plan.max_width = std::max(plan.max_width, latent->n_heads * latent->kv_rank);
    }
  }
  ModelSpec copy = spec;
  for_each_tensor(copy, [&](TensorDecl& tensor, bool is_matrix) {
    if (is_matrix) plan.max_width = std::max(plan.max_width, tensor.shape[0]);
  });
  plan.max_rows = plan.options.batch_tokens * max_used;
}

std::string kv_detail(const ContextPlan& plan) {
  return fmt::format("{} sequences x {} tokens in {} pages of {} tokens, {} bytes each",
                     plan.options.max_sequences, plan.options.context_tokens, plan.n_pages,
                     kernels::kPageTokens, plan.kv.page_bytes);
}

}  // namespace

uint64_t MemoryPlan::total_bytes() const {
  uint64_t total = 0;
  for (const PlanItem& item : items) total += item.bytes;
  return total;
}

Result<ContextPlan> plan_context(const ModelSpec& spec, const Weights& weights,
                                 const PositionTables& tables, const kernels::Backend& backend,
                                 const ContextOptions& wanted) {
  ContextPlan plan;
  LLMRUN_ASSIGN(plan.options, resolve(spec, wanted));
  const ContextOptions& options = plan.options;

  plan.kv = kv_layout(spec, options.k_type, options.v_type);
  const int64_t per_sequence =
      (options.context_tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
  plan.n_pages = options.max_sequences * per_sequence;
  const auto kv_bytes =
      checked_mul(static_cast<uint64_t>(plan.n_pages), static_cast<uint64_t>(plan.kv.page_bytes));
  if (plan.n_pages > INT32_MAX || !kv_bytes || *kv_bytes > INT64_MAX) {
    return make_error(ErrorCode::kOutOfMemory,
                      "{} sequences of {} tokens need more memory than any machine has; ask for a "
                      "smaller context",
                      options.max_sequences, options.context_tokens);
  }
  plan.kv_bytes = *kv_bytes;

  NullOps ops;
  Arena arena, host;
  Pass pass{.spec = spec,
            .weights = weights,
            .frequencies = tables.frequencies,
            .alibi = tables.alibi,
            .ops = ops,
            .arena = arena,
            .host = host,
            .n_tokens = options.batch_tokens};
  host.array<int32_t>(options.batch_tokens);  // ids and positions, as in forward()
  host.array<int32_t>(options.batch_tokens);
  run_forward(
      pass,
      {.data = nullptr, .n = options.logits_rows, .width = spec.n_vocab, .stride = spec.n_vocab});
  plan.arena_bytes = arena.peak();
  plan.host_bytes = host.peak();
  plan.logits_bytes = static_cast<uint64_t>(options.logits_rows * spec.n_vocab) * sizeof(float);
  measure_products(spec, plan);
  plan.workspace_bytes = backend.workspace_bytes(plan.max_rows, plan.max_width);
  return plan;
}

MemoryPlan describe(const ContextPlan& plan, const ModelSpec& spec, const Weights& weights,
                    const PositionTables& tables) {
  const ContextOptions& options = plan.options;
  MemoryPlan result;
  result.context_tokens = options.context_tokens;
  result.max_sequences = options.max_sequences;
  const auto add = [&](std::string component, uint64_t bytes, std::string detail) {
    if (bytes > 0) result.items.push_back({std::move(component), bytes, std::move(detail)});
  };
  add("weights (mapped file)", weights.mapped_bytes(), "the tensors the model uses, as stored");
  for (PlanItem& item : result.items) item.mapped = true;
  add("weights (converted)", weights.converted_bytes(), "vectors stored in other types than F32");
  add("position tables", tables.buffer ? tables.buffer->size() : 0, "angles and slopes");
  add("KV cache", plan.kv_bytes, kv_detail(plan));
  add("activations", plan.arena_bytes,
      fmt::format("one forward pass of {} tokens", options.batch_tokens));
  add("logits", plan.logits_bytes,
      fmt::format("{} rows x {} tokens of vocabulary", options.logits_rows, spec.n_vocab));
  add("backend workspace", plan.workspace_bytes,
      fmt::format("products of up to {} rows of {} values", plan.max_rows, plan.max_width));
  add("bookkeeping", plan.host_bytes, "ids, positions and expert choices of a batch");
  return result;
}

}  // namespace llmrun::runtime
