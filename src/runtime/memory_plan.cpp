// The memory plan: what a context takes, found by running the forward pass on an arena that only
// measures, with ops that do nothing.
#include "runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "base/checked_math.h"
#include "base/error.h"
#include "runtime/best_logits.h"
#include "runtime/context.h"
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
  void group_dot(const kernels::GroupDotParams&) override {}
  void mix_rows(const kernels::MixRowsParams&) override {}
  void kv_write(std::span<const kernels::KvWriteParams>) override {}
  void attention(std::span<const kernels::AttentionParams>) override {}
  void route(const kernels::RouteParams&) override {}
  void combine_experts(const kernels::CombineExpertsParams&) override {}
  void causal_conv(const kernels::CausalConvParams&) override {}
  void state_space(const kernels::StateSpaceParams&) override {}
  void delta_rule(const kernels::DeltaRuleParams&) override {}
};

Result<void> check(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return {};
  return make_error(ErrorCode::kUsage, "{} is {}, but must lie in {} to {}", name, value, min, max);
}

// Whether the model has what the options ask it for.
Result<void> check_output(const ModelSpec& spec, const ContextOptions& options) {
  if (!options.pooling && !spec.head.output.declared()) {
    return make_error(ErrorCode::kUnsupported,
                      "a model of the architecture {} has no output layer, so it predicts no "
                      "tokens; it turns texts into vectors (llmrun embed, llmrun rerank)",
                      spec.architecture);
  }
  if (options.pooling == Pooling::kRank && !spec.embedding_head.classifier.output.declared()) {
    return make_error(ErrorCode::kUnsupported,
                      "the model has no classifier (cls.output.weight), so it cannot score texts; "
                      "take a reranker");
  }
  return {};
}

// Fills in what the options leave to the model.
Result<ContextOptions> resolve(const ModelSpec& spec, ContextOptions options) {
  if (options.context_tokens == 0) options.context_tokens = spec.context_length;
  if (options.logits_rows == 0) options.logits_rows = options.batch_tokens;
  LLMRUN_TRY(check("the context size", options.context_tokens, 1, kMaxContextTokens));
  LLMRUN_TRY(check("the number of sequences", options.max_sequences, 1, kMaxSequences));
  LLMRUN_TRY(check("the batch size", options.batch_tokens, 1, kMaxBatchTokens));
  if (options.pooling)
    options.batch_tokens = std::max(options.batch_tokens, options.context_tokens);
  LLMRUN_TRY(check("the number of logits rows", options.logits_rows, 1, kMaxBatchTokens));
  if (spec.max_positions > 0 && options.context_tokens > spec.max_positions) {
    return make_error(ErrorCode::kUsage,
                      "a context of {} tokens is more than the {} positions this model has "
                      "learned; ask for at most that many",
                      options.context_tokens, spec.max_positions);
  }
  options.logits_rows = std::min(options.logits_rows, options.batch_tokens);
  LLMRUN_TRY(check("the number of kept ends", options.kept_ends, 0, kMaxSequences));
  LLMRUN_TRY(check("the size of the pool", options.pool_tokens, 0, INT64_MAX));
  // Whole pages: sequences do not share the page that one of them ends in.
  const int64_t per_sequence = pages_for(options.context_tokens) * kernels::kPageTokens;
  const int64_t all = options.max_sequences * per_sequence;  // at most 2^46
  options.pool_tokens =
      options.pool_tokens == 0 ? all : std::clamp(options.pool_tokens, per_sequence, all);
  options.pool_tokens = pages_for(options.pool_tokens) * kernels::kPageTokens;
  LLMRUN_TRY(check_output(spec, options));
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

// Pages of the window group: what each sequence sees, the tokens of a pass (whose pages begin and
// end anywhere), and the kept ends.
int64_t window_group_pages(const KvLayout& layout, const ContextOptions& options) {
  const int64_t each = window_pages(layout.window);
  const int64_t needed = options.max_sequences * (each + 2) + pages_for(options.batch_tokens);
  const int64_t all = options.max_sequences * pages_for(options.context_tokens);
  return std::min(needed, all) + options.kept_ends * each;
}

// The pages of the cache.
Result<void> plan_pages(const LoadedModel& model, ContextPlan& plan) {
  const ContextOptions& options = plan.options;
  const PageUse use = options.pooling ? PageUse::kPass : PageUse::kSequence;
  // A share has one device of its own.
  const Placement& placement = model.placement;
  const LayerDevices devices{placement.layers, model.shared() ? 1 : placement.devices.size()};
  for (const ModelShare& share : model.shares) {
    KvLayout layout =
        kv_layout(share.spec, options.k_type, options.v_type, options.context_tokens, use, devices);
    if (&share == model.shares.data()) {
      plan.kv = std::move(layout);
    } else {
      add_share(plan.kv, layout);
    }
  }
  plan.n_pages[kWholeGroup] = pages_for(options.pool_tokens);
  if (options.pooling) {  // the texts of a pass share its tokens; each leaves a part of a page free
    const int64_t full = options.batch_tokens / kernels::kPageTokens;
    plan.n_pages[kWholeGroup] = std::min(plan.n_pages[kWholeGroup], full + options.max_sequences);
  }
  // A sequence that goes on in the middle of a kept page gets a copy of it.
  if (options.kept_ends > 0) ++plan.n_pages[kWholeGroup];
  if (plan.kv.window > 0) plan.n_pages[kWindowGroup] = window_group_pages(plan.kv, options);
  plan.kv_bytes = 0;
  for (size_t group = 0; group < kPageGroups; ++group) {
    const auto bytes = checked_mul(static_cast<uint64_t>(plan.n_pages[group]),
                                   static_cast<uint64_t>(plan.kv.page_bytes[group]));
    const auto sum = bytes ? checked_add(plan.kv_bytes, *bytes) : std::nullopt;
    if (plan.n_pages[group] > INT32_MAX || !sum || *sum > INT64_MAX) {
      return make_error(ErrorCode::kOutOfMemory,
                        "{} sequences of {} tokens need more memory than any machine has; ask for "
                        "a smaller context",
                        options.max_sequences, options.context_tokens);
    }
    plan.kv_bytes = *sum;
    for (size_t device = 0; device < plan.devices.size(); ++device) {  // no more than the sum
      plan.devices[device].kv +=
          static_cast<uint64_t>(plan.n_pages[group]) * plan.kv.device_bytes[device][group];
    }
  }
  return {};
}

// What one pass takes and gives: runs it on arenas that only measure.
void measure_pass(const LoadedModel& model, size_t share, ContextPlan& plan) {
  const ContextOptions& options = plan.options;
  const ModelSpec& spec = model.shares[share].spec;
  NullOps ops;
  DeviceTurns turns(model.placement, {});
  Arena arena, host;
  Pass pass{.spec = spec,
            .weights = model.shares[share].weights,
            .frequencies = model.tables_of(share).frequencies,
            .slopes = model.tables_of(share).slopes,
            .ops = ops,
            .arena = arena,
            .host = host,
            .turns = &turns,
            .share = share,
            .n_shares = model.shares.size(),
            .n_tokens = options.batch_tokens};
  // Ids, positions and token types, as the context lays them out.
  for (int i = 0; i < 3; ++i) host.array<int32_t>(options.batch_tokens);
  plan.output_rows = options.logits_rows;
  plan.output_width = spec.n_vocab;
  if (options.pooling) {
    plan.output_rows =
        options.pooling == Pooling::kNone ? options.batch_tokens : options.max_sequences;
    plan.output_width = pooled_width(spec, *options.pooling);
  }
  const Rows output{nullptr, plan.output_rows, plan.output_width, plan.output_width};
  if (options.pooling) {
    run_pooled(pass, *options.pooling, output);
  } else {
    const Rows x = run_layers(pass);
    if (!model.shared()) {
      best_memory(pass, model.placement.backend_of(static_cast<int64_t>(spec.layers.size())),
                  plan.output_rows);
    }
    run_head(pass, x, output);
  }
  plan.arena_bytes = std::max<uint64_t>(plan.arena_bytes, arena.peak());
  plan.host_bytes = std::max<uint64_t>(plan.host_bytes, host.peak());
  plan.output_bytes = static_cast<uint64_t>(plan.output_rows * plan.output_width) * sizeof(float);
}

Result<void> plan_state(const ModelSpec& spec, const Placement& placement, ContextPlan& plan) {
  plan.state = state_layout(spec, {placement.layers, placement.devices.size()});
  const bool any = plan.state.sequence_floats > 0 || plan.state.n_tokens_back > 0;
  plan.n_states = plan.options.max_sequences + (any ? plan.options.kept_ends : 0);
  const auto bytes = checked_mul(static_cast<uint64_t>(plan.n_states),
                                 static_cast<uint64_t>(plan.state.sequence_floats) * sizeof(float));
  if (!bytes || *bytes > INT64_MAX) {
    return make_error(ErrorCode::kOutOfMemory,
                      "the recurrent states of {} sequences need more memory than any machine has; "
                      "ask for fewer sequences",
                      plan.options.max_sequences);
  }
  plan.state_bytes = *bytes;
  for (size_t device = 0; device < plan.devices.size(); ++device) {
    plan.devices[device].state = static_cast<uint64_t>(plan.n_states) * sizeof(float) *
                                 static_cast<uint64_t>(plan.state.device_floats[device]);
  }
  return {};
}

std::string kv_detail(const ContextPlan& plan) {
  std::string text =
      fmt::format("{} sequences x {} tokens in {} pages of {} tokens, {} bytes each",
                  plan.options.max_sequences, plan.options.context_tokens,
                  plan.n_pages[kWholeGroup], kernels::kPageTokens, plan.kv.page_bytes[kWholeGroup]);
  if (plan.kv.window == 0) return text;
  return text + fmt::format(", and {} pages of {} bytes for windows of up to {} tokens",
                            plan.n_pages[kWindowGroup], plan.kv.page_bytes[kWindowGroup],
                            plan.kv.window);
}

// A page of a group holds its layers one after the other, up to the next one's keys.
std::vector<uint64_t> layer_caches(const ContextPlan& plan) {
  const std::vector<KvLayout::Layer>& layers = plan.kv.layers;
  if (plan.options.pooling || layers.empty()) return {};
  const size_t n = layers.size() / plan.kv.n_shares;
  std::vector<uint64_t> bytes(n);
  std::vector<KvLayout::PageBytes> ends = plan.kv.device_bytes;
  for (size_t i = layers.size(); i-- > 0;) {
    const PageGroup group = layers[i].group;
    size_t& end = ends[layers[i].device][group];
    bytes[i % n] += (end - layers[i].k_offset) * static_cast<uint64_t>(plan.n_pages[group]);
    end = layers[i].k_offset;
  }
  for (uint64_t& layer : bytes) layer += plan.state_bytes / n;  // nearly: they differ little
  bytes.back() += plan.state_bytes % n;
  return bytes;
}

DeviceAdapters adapters_on(const LoadedModel& model, size_t device) {
  const std::vector<size_t> sizes = model.shared()
                                        ? model.shares[device].weights.adapters().sizes_on(0)
                                        : model.shares[0].weights.adapters().sizes_on(device);
  return {std::accumulate(sizes.begin(), sizes.end(), uint64_t{0}), sizes.size()};
}

}  // namespace

uint64_t MemoryPlan::total_bytes() const {
  uint64_t total = 0;
  for (const PlanItem& item : items) total += item.bytes;
  return total;
}

uint64_t MemoryPlan::bytes_of(PlanPart part, std::optional<size_t> device) const {
  uint64_t total = 0;
  for (const PlanItem& item : items) {
    if (item.part == part && device.value_or(item.device) == item.device) total += item.bytes;
  }
  return total;
}

Result<ContextPlan> plan_context(const LoadedModel& model, const ContextOptions& wanted) {
  const Placement& placement = model.placement;
  ContextPlan plan;
  plan.devices.resize(placement.devices.size());
  LLMRUN_ASSIGN(plan.options, resolve(model.spec, wanted));
  LLMRUN_TRY(plan_pages(model, plan));
  LLMRUN_TRY(plan_state(model.spec, placement, plan));
  for (size_t share = 0; share < model.shares.size(); ++share) measure_pass(model, share, plan);
  if (model.shared() && placement.gatherer == nullptr) {
    plan.gather_bytes = kernels::HostGatherer::bytes_for(
        model.shares.size(), plan.options.batch_tokens * model.spec.d_model);
  }
  measure_products(model.spec, plan);
  plan.max_width = std::max(plan.max_width, model.shares[0].weights.adapters().max_rank());
  for (size_t device = 0; device < plan.devices.size(); ++device) {
    plan.devices[device].workspace =
        placement.devices[device]->workspace_bytes(plan.max_rows, plan.max_width);
  }
  return plan;
}

MemoryPlan describe(const ContextPlan& plan, const LoadedModel& model) {
  const ContextOptions& options = plan.options;
  const Weights& weights = model.shares[0].weights;
  MemoryPlan result;
  result.context_tokens = options.context_tokens;
  result.max_sequences = options.max_sequences;
  result.pool_tokens = options.pool_tokens;
  result.logits_rows = options.pooling ? 0 : plan.output_rows;
  result.layer_cache_bytes = layer_caches(plan);
  result.max_rows = plan.max_rows;
  result.max_width = plan.max_width;
  const auto add = [&](PlanPart part, const char* component, uint64_t bytes, std::string detail,
                       size_t device = 0) {
    if (bytes == 0) return;
    result.items.push_back({part, component, bytes, std::move(detail), false, device});
  };
  const auto add_mapped = [&](PlanPart part, const char* component, uint64_t bytes,
                              const char* detail) {
    add(part, component, bytes, detail);
    if (bytes > 0) result.items.back().mapped = true;
  };
  add_mapped(PlanPart::kWeights, "weights (mapped file)", weights.mapped_bytes(),
             "the tensors the model uses, as stored");
  add(PlanPart::kConvertedWeights, "weights (converted)", weights.converted_bytes(),
      "vectors stored in other types than F32");
  add_mapped(PlanPart::kAdapters, "adapters", weights.adapters().mapped_bytes(),
             "the tensors of the adapters, as stored");
  if (!model.placement.divided()) result.adapters = adapter_needs(model.spec, weights.adapters());
  uint64_t converted = 0;
  for (const ModelShare& share : model.shares) {
    converted += share.weights.adapters().converted_bytes();
  }
  add(PlanPart::kAdapters, "adapters (converted)", converted,
      "of the embedding that is the output layer, too, and what shares cut out");
  for (size_t i = 0; i < plan.devices.size(); ++i) {
    const DeviceBytes& device = plan.devices[i];
    const auto& tables = model.tables_of(i).buffer;
    const uint64_t weight_bytes =
        model.shared() ? model.shares[i].weights.device_bytes(0) : weights.device_bytes(i);
    if (model.placement.devices[i]->name() != "cpu") {
      add(PlanPart::kWeights, "weights", weight_bytes,
          model.shared() ? "this device's share of all layers" : "of the layers of this device", i);
    }
    result.device_weights.push_back(weight_bytes);
    const DeviceAdapters adapters = adapters_on(model, i);
    if (model.placement.devices[i]->name() != "cpu") {
      add(PlanPart::kAdapters, "adapters", adapters.bytes, "of what this device has", i);
    }
    result.device_adapters.push_back(adapters);
    add(PlanPart::kTables, "position tables", tables ? tables->size() : 0, "angles and slopes", i);
    add(PlanPart::kCache, "KV cache", device.kv, kv_detail(plan), i);
    add(PlanPart::kStates, "recurrent state", device.state,
        fmt::format("{} sequences and {} kept ends x {} values of float32", options.max_sequences,
                    plan.n_states - options.max_sequences, plan.state.device_floats[i]),
        i);
    add(PlanPart::kActivations, "activations", plan.arena_bytes,
        fmt::format("one forward pass of {} tokens", options.batch_tokens), i);
    add(PlanPart::kWorkspace, "backend workspace", device.workspace,
        fmt::format("products of up to {} rows of {} values", plan.max_rows, plan.max_width), i);
  }
  if (options.pooling) {
    add(PlanPart::kOutput, "vectors", plan.output_bytes,
        fmt::format("{} rows of {} values", plan.output_rows, plan.output_width));
  } else {
    add(PlanPart::kOutput, "logits", plan.output_bytes,
        fmt::format("{} rows x {} tokens of vocabulary", plan.output_rows, plan.output_width));
  }
  add(PlanPart::kBookkeeping, "bookkeeping", model.shares.size() * plan.host_bytes,
      "ids, positions and expert choices of a batch");
  add(PlanPart::kBookkeeping, "meeting place", plan.gather_bytes,
      "parts of sums, on their way between devices");
  return result;
}

}  // namespace llmrun::runtime
