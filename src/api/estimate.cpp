// Memory: the rule of thumb, the exact plan, and what one token costs.
#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "api/open_file.h"
#include "base/error.h"
#include "base/units.h"
#include "kernels/tensor_type.h"
#include "llmrun/model_info.h"
#include "models/registry.h"
#include "sampling/candidates.h"

namespace llmrun {
namespace {

Result<kernels::CacheType> cache_type(const char* which, const std::string& name) {
  using kernels::CacheType;
  constexpr std::pair<std::string_view, CacheType> kTypes[] = {{"f32", CacheType::kF32},
                                                               {"f16", CacheType::kF16},
                                                               {"bf16", CacheType::kBf16},
                                                               {"fp8", CacheType::kFp8E4m3},
                                                               {"int8", CacheType::kInt8}};
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return make_error(ErrorCode::kUsage,
                    "'{}' is no type of {}: it can be f32, f16, bf16, fp8, int8.", name, which);
}

// A line "key:   123 kB" of /proc/meminfo, or a file that holds one number, in bytes.
uint64_t meminfo(std::string_view key) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    uint64_t kilobytes = 0;
    if (word == key && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}
uint64_t number_in(const char* path) {
  std::ifstream file(path);
  uint64_t number = 0;
  return file >> number ? number : 0;  // "max" and a missing file are 0: no limit
}

// A token reads only some matrices of each expert stack.
void add_expert_shares(const runtime::Ffn& ffn, std::map<std::string, double>& shares) {
  const auto add = [&](const runtime::Experts& experts) {
    for (const auto* linear : {&experts.gate, &experts.up, &experts.down, &experts.gate_up}) {
      if (!linear->declared()) continue;
      shares[linear->weight.name] =
          static_cast<double>(experts.n_used) / static_cast<double>(linear->n_matrices);
    }
  };
  const auto* moe = std::get_if<runtime::MoeFfn>(&ffn);
  if (moe == nullptr) return;
  add(*moe);
  if (moe->chunks) add(*moe->chunks);
}

}  // namespace

double rule_of_thumb_bytes(double n_parameters, double bits) {
  return n_parameters * 4.0 * 1.2 / (32.0 / bits);
}

uint64_t available_memory() {
  const uint64_t machine = meminfo("MemAvailable:");
  const uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  const uint64_t used = number_in("/sys/fs/cgroup/memory.current");
  if (limit == 0) return machine;
  return std::min(machine, limit > used ? limit - used : 0);
}

uint64_t total_memory() {
  const uint64_t machine = meminfo("MemTotal:");
  const uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  return limit == 0 ? machine : std::min(machine, limit);
}

Result<runtime::ContextOptions> context_options(const ContextOptions& options,
                                                const runtime::ModelSpec& spec) {
  runtime::ContextOptions wanted;
  wanted.context_tokens = options.context_tokens;
  if (wanted.context_tokens == 0) {
    wanted.context_tokens = spec.context_length > 0
                                ? std::min(spec.context_length, kDefaultContextTokens)
                                : kDefaultContextTokens;
  }
  wanted.max_sequences = options.max_sequences;
  wanted.pool_tokens = options.pool_tokens;
  // A chat goes on from its last answer or the last question; with more sequences, from more texts.
  constexpr int64_t kMostKeptEnds = 8;
  wanted.kept_ends = std::min(kMostKeptEnds, 1 + options.max_sequences);
  if (!spec.head.output.declared()) {  // such a model can only be used for vectors
    wanted.pooling = spec.embedding_head.pooling.value_or(Pooling::kMean);
  }
  wanted.batch_tokens = std::min(
      options.batch_tokens, wanted.context_tokens * std::max<int64_t>(1, options.max_sequences));
  // A row of logits is as wide as the vocabulary, so there are few of them.
  constexpr int64_t kDefaultLogitsRows = 8;
  wanted.logits_rows = options.logits_rows > 0
                           ? options.logits_rows
                           : std::max(kDefaultLogitsRows, options.max_sequences);
  if (!spec.causal) {  // the whole text is one batch, and all its logits come at once
    wanted.batch_tokens = wanted.context_tokens;
    wanted.logits_rows = wanted.context_tokens;
  }
  LLMRUN_ASSIGN(wanted.k_type, cache_type("the keys", options.k_type));
  LLMRUN_ASSIGN(wanted.v_type, cache_type("the values", options.v_type));
  return wanted;
}

Result<MemoryEstimate> estimate(const gguf::File& file, const runtime::Model& model,
                                const runtime::ContextOptions& options, uint64_t vocabulary_bytes) {
  LLMRUN_ASSIGN(const runtime::MemoryPlan plan, model.plan(options));
  MemoryEstimate result;
  std::vector<MemoryItem> elsewhere;
  for (const runtime::PlanItem& item : plan.items) {
    const runtime::Placement& placement = model.placement();
    const bool on_host = item.mapped || placement.devices[item.device]->name() == "cpu";
    (on_host ? result.items : elsewhere)
        .push_back({item.component, item.bytes, item.detail, item.mapped});
    if (!on_host) elsewhere.back().component += " on " + placement.name(item.device);
  }
  result.items.push_back({"metadata (mapped file)", file.size_bytes() - file.tensor_bytes(),
                          "keys, tokens, merges and the directory of tensors", true});
  const auto n_vocab = static_cast<uint64_t>(model.spec().n_vocab);
  if (vocabulary_bytes > 0) {
    result.items.push_back(
        {"tokenizer", vocabulary_bytes, fmt::format("{} tokens and their index", n_vocab)});
  }
  if (!options.pooling) {
    const int threads = model.backend().threads();
    result.items.push_back({"sampler",
                            n_vocab * sampling::kBytesPerCandidate * static_cast<uint64_t>(threads),
                            fmt::format("{} candidates for each of {} threads", n_vocab, threads)});
  }
  // Sums are those of main memory.
  for (const MemoryItem& item : result.items) {
    result.total_bytes += item.bytes;
    if (!item.mapped) result.allocated_bytes += item.bytes;
  }
  result.items.insert(result.items.end(), elsewhere.begin(), elsewhere.end());
  result.available_bytes = available_memory();
  result.context_tokens = plan.context_tokens;
  result.pool_tokens = plan.pool_tokens;
  result.fits = result.total_bytes <= result.available_bytes;
  return result;
}

namespace {

// Whether the plan has room on every device that is not main memory.
Result<bool> has_room(const runtime::Model& model, const runtime::ContextOptions& options,
                      std::span<const uint64_t> room) {
  std::vector<uint64_t> left(room.begin(), room.end());
  if (left.empty()) return true;
  LLMRUN_ASSIGN(const runtime::MemoryPlan plan, model.plan(options));
  for (const runtime::PlanItem& item : plan.items) {
    if (item.of_model()) continue;  // it is there already
    if (left[item.device] == UINT64_MAX) continue;
    if (item.bytes > left[item.device]) return false;
    left[item.device] -= item.bytes;
  }
  return true;
}

// The largest n in [low, high], a multiple of `step` but for the ends, for which `fits` holds; low
// when none does.
template <typename Fits>
Result<int64_t> largest(int64_t low, int64_t high, int64_t step, const Fits& fits) {
  LLMRUN_ASSIGN(const bool all, fits(high));
  if (all || high <= low) return high;
  int64_t yes = low / step, no = high / step + 1;
  while (no - yes > 1) {
    const int64_t middle = yes + (no - yes) / 2;
    LLMRUN_ASSIGN(const bool good, fits(middle * step));
    (good ? yes : no) = middle;
  }
  return std::max(low, yes * step);
}

}  // namespace

Result<MemoryEstimate> choose_sizes(const ContextOptions& options, const gguf::File& file,
                                    const runtime::Model& model, uint64_t vocabulary_bytes,
                                    runtime::ContextOptions& wanted,
                                    std::span<const uint64_t> room) {
  const runtime::ModelSpec& spec = model.spec();
  const uint64_t available = available_memory();
  const auto tried = [&](int64_t context_tokens, int64_t pool_tokens) {
    runtime::ContextOptions sizes = wanted;
    sizes.context_tokens = context_tokens;
    sizes.pool_tokens = pool_tokens;
    return sizes;
  };
  const auto fits = [&](int64_t context_tokens, int64_t pool_tokens) -> Result<bool> {
    const runtime::ContextOptions sizes = tried(context_tokens, pool_tokens);
    LLMRUN_ASSIGN(const MemoryEstimate plan, estimate(file, model, sizes, vocabulary_bytes));
    if (plan.allocated_bytes > available / 2) return false;
    return has_room(model, sizes, room);
  };
  constexpr int64_t kStep = 4 * kernels::kPageTokens;
  constexpr int64_t kLeast = 2048;  // less is of little use: then it is an error
  std::string source = "asked for";
  const bool may_choose = spec.causal && !wanted.pooling;
  if (options.context_tokens == 0 && may_choose && spec.context_length > 0) {
    constexpr int64_t kMost = int64_t{1} << 24;  // a file may claim anything
    const int64_t own = std::min(spec.context_length, kMost);
    LLMRUN_ASSIGN(wanted.context_tokens, largest(std::min(kLeast, own), own, kStep,
                                                 [&](int64_t n) { return fits(n, n); }));
    source = wanted.context_tokens == own ? "the model's own"
                                          : "the most that takes half of the free memory";
  } else if (options.context_tokens == 0) {
    source = "the model's own, at most 8192";
  }
  if (options.pool_tokens == 0 && wanted.max_sequences > 1 && may_choose) {
    // Whole pages: sequences do not share the one they end in.
    const int64_t one = runtime::pages_for(wanted.context_tokens) * kernels::kPageTokens;
    LLMRUN_ASSIGN(wanted.pool_tokens,
                  largest(one, one * wanted.max_sequences, kStep,
                          [&](int64_t n) { return fits(wanted.context_tokens, n); }));
  }
  LLMRUN_ASSIGN(
      MemoryEstimate result,
      estimate(file, model, tried(wanted.context_tokens, wanted.pool_tokens), vocabulary_bytes));
  result.context_source = std::move(source);
  return result;
}

// What a session allocates has to be there. Weights are pages of the file: they fit any machine,
// if slowly. When a plan takes more than half of what is free, all of it is taken before the
// session is ready, so that no program started later can make it fail in the middle of an answer.
Result<bool> must_commit(const MemoryEstimate& plan) {
  if (plan.allocated_bytes > plan.available_bytes) {
    return make_error(ErrorCode::kOutOfMemory,
                      "A context of {} tokens needs {} beside the weights and {} are free. Ask for "
                      "a smaller context (--ctx) or an 8-bit cache (--kv-type int8), or close "
                      "other programs.",
                      plan.context_tokens, format_bytes(plan.allocated_bytes),
                      format_bytes(plan.available_bytes));
  }
  return plan.allocated_bytes > plan.available_bytes / 2;
}

Result<MemoryEstimate> estimate_memory(const std::filesystem::path& path,
                                       const ContextOptions& options) {
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(path));
  auto spec = models::build_spec(file);
  if (!spec) return with_context(spec.error(), path.string());
  LLMRUN_ASSIGN(auto wanted, context_options(options, *spec));
  LLMRUN_ASSIGN(const auto backend, kernels::make_backend("cpu", {}));
  auto model = runtime::Model::load(file, *backend, std::move(*spec));
  if (!model) return with_context(model.error(), path.string());
  LLMRUN_ASSIGN(const LoadedTokenizer tokenizer, load_tokenizer(file));
  return choose_sizes(options, file, **model, tokenizer.bytes, wanted);
}

std::map<std::string, double> token_shares(const runtime::ModelSpec& spec) {
  std::map<std::string, double> shares;
  runtime::ModelSpec copy = spec;
  runtime::for_each_tensor(copy, [&](runtime::TensorDecl& tensor, bool is_matrix) {
    if (is_matrix) shares[tensor.name] = 1.0;
  });
  for (const runtime::LayerSpec& layer : spec.layers) {
    add_expert_shares(layer.ffn, shares);
    add_expert_shares(layer.side_ffn, shares);
  }
  const std::string& table = spec.embedding.table.name;
  if (table != spec.head.output.weight.name) shares[table] = 0.0;  // one row: nothing
  shares[spec.embedding.positions.name] = 0.0;
  return shares;
}

TokenCost token_cost(const gguf::File& file, const runtime::ModelSpec& spec) {
  TokenCost cost;
  for (const auto& [name, share] : token_shares(spec)) {
    const gguf::TensorInfo* tensor = file.find_tensor(name);
    if (tensor == nullptr) continue;
    const auto bytes = static_cast<uint64_t>(share * static_cast<double>(tensor->size_bytes));
    const auto type = quant::tensor_type_from_gguf_id(tensor->type);
    cost.weight_bytes += bytes;
    if (name != spec.head.output.weight.name) {
      cost.multiplications +=
          static_cast<uint64_t>(share * static_cast<double>(tensor->n_elements));
    }
    if (type && quant::traits(*type).is_float) cost.float_bytes += bytes;
  }
  return cost;
}

}  // namespace llmrun
