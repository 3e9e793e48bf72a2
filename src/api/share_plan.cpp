// From the plan of a model on as many devices in main memory to that of cards.
#include "api/share_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "api/open_file.h"
#include "base/error.h"
#include "kernels/backend.h"
#include "kernels/cuda/sizes.h"
#include "runtime/device_forms.h"
#include "runtime/model.h"
#include "runtime/tensor_split.h"
#include "runtime/weight_cut.h"

namespace llmrun {
namespace {

// Of one meeting. Through NCCL small parts take some 6 us between cards that NVLink joins and 30 to
// 50 where the bus does; through main memory every card sends what it has queued, waits, and takes
// what the others left there. Assumptions, which cards have yet to confirm; the bus is PCIe 4.0
// with 16 lanes.
constexpr double kNcclSeconds = 20e-6;
constexpr double kMainMemorySeconds = 2 * runtime::kCrossingSeconds;
constexpr double kBusBytesPerSecond = 25e9;

void add_part(runtime::DevicePlan& plan, std::string component, uint64_t bytes,
              std::string detail) {
  if (bytes == 0) return;
  plan.parts.push_back({std::move(component), bytes, std::move(detail)});
  plan.total_bytes += bytes;
}

uint64_t count_tensors(const runtime::ModelSpec& spec) {
  uint64_t n = 0;
  runtime::ModelSpec copy = spec;
  runtime::for_each_tensor(copy, [&](runtime::TensorDecl&, bool) { ++n; });
  return n;
}

// Of the matrices of a share, what one token reads. The rows that it looks up are nothing.
Result<uint64_t> read_bytes(const gguf::File& file, runtime::ModelSpec share) {
  const std::map<std::string, double> shares = token_shares(share);
  std::set<std::tuple<std::string, int64_t, int64_t>> seen;
  uint64_t bytes = 0;
  Result<void> status;
  runtime::for_each_tensor(share, [&](runtime::TensorDecl& tensor, bool is_matrix) {
    const gguf::TensorInfo* const found = file.find_tensor(tensor.name);
    const auto type =
        found == nullptr ? std::nullopt : quant::tensor_type_from_gguf_id(found->type);
    if (!is_matrix || !type || &tensor == &share.embedding.table || !status) return;
    if (!seen.emplace(tensor.name, tensor.first, tensor.first_value).second) return;
    const auto cut = runtime::cut_of(*found, tensor, *type);
    if (!cut) {
      status = tl::unexpected(cut.error());
      return;
    }
    bytes += static_cast<uint64_t>(shares.at(tensor.name) * static_cast<double>(cut->bytes()));
  });
  if (!status) return tl::unexpected(std::move(status).error());
  return bytes;
}

// The cards work at the same time, so the one that reads longest counts.
Result<void> add_speed(const gguf::File& file, const runtime::ModelSpec& spec,
                       const runtime::MemoryPlan& memory,
                       std::span<const runtime::DeviceRequest> cards, double meeting_seconds,
                       SharedPlan& plan) {
  const auto others = static_cast<uint64_t>(cards.size() - 1);
  plan.n_meetings = runtime::n_meetings(spec);
  plan.exchange_bytes = static_cast<uint64_t>(plan.n_meetings) * others *
                        static_cast<uint64_t>(spec.d_model) * sizeof(float);
  plan.exchange_seconds = static_cast<double>(plan.n_meetings) * meeting_seconds +
                          static_cast<double>(plan.exchange_bytes) / kBusBytesPerSecond;
  LLMRUN_ASSIGN(const auto shares, runtime::split_tensors(spec, file, cards.size()));
  double longest = 0.0;
  bool known = true;
  for (size_t i = 0; i < cards.size(); ++i) {
    LLMRUN_ASSIGN(const uint64_t weights, read_bytes(file, shares[i]));
    const uint64_t bytes =
        weights + memory.device_adapters[i].bytes + memory.bytes_of(runtime::PlanPart::kCache, i);
    plan.cards[i].read_bytes = bytes;
    known = known && cards[i].bytes_per_second > 0.0;
    if (known) longest = std::max(longest, static_cast<double>(bytes) / cards[i].bytes_per_second);
  }
  if (!known) return {};
  plan.most_tokens_per_second = 1.0 / (longest + plan.exchange_seconds);
  return {};
}

}  // namespace

Result<SharedPlan> plan_shares(const gguf::File& file, const runtime::ModelSpec& spec,
                               const runtime::ContextOptions& context,
                               std::span<const runtime::DeviceRequest> cards, ExchangeWay way,
                               std::span<const runtime::AdapterFile> adapters) {
  if (const auto missing = runtime::missing_device_forms(spec); !missing.empty()) {
    return make_error(ErrorCode::kUnsupported,
                      "{} of {} layers cannot run on a GPU: {}; with --split-mode layer the CPU "
                      "runs them",
                      missing.size(), spec.layers.size(), missing.front());
  }
  std::vector<std::unique_ptr<kernels::Backend>> stand_ins;
  runtime::Placement placement;
  placement.tensors = true;
  for (size_t i = 0; i < cards.size(); ++i) {
    LLMRUN_ASSIGN(auto backend, kernels::make_backend("cpu", {.threads = 1, .cpu_target = {}}));
    placement.devices.push_back(backend.get());
    stand_ins.push_back(std::move(backend));
  }
  LLMRUN_ASSIGN(const auto model,
                runtime::Model::load(file, placement, spec, adapters, runtime::LoadFor::kPlanning));
  LLMRUN_ASSIGN(const runtime::MemoryPlan memory, model->plan(context));
  const uint64_t n_tensors = count_tensors(spec);
  SharedPlan result;
  for (size_t i = 0; i < cards.size(); ++i) {
    runtime::DevicePlan& plan = result.cards.emplace_back();
    plan.memory_bytes = cards[i].memory_bytes;
    plan.n_layers = plan.n_layers_all = static_cast<int64_t>(spec.layers.size());
    plan.whole = true;
    add_part(plan, "GPU context", runtime::device_context_bytes(),
             "what the driver takes for itself and our kernels");
    add_part(plan, "weights", memory.device_weights[i],
             fmt::format("the share of one of {} cards, of all layers", cards.size()));
    const runtime::DeviceAdapters& added = memory.device_adapters[i];
    add_part(plan, "adapters", added.bytes, "what they have for that share");
    add_part(plan, "alignment", runtime::device_rounding_bytes(n_tensors + added.n_matrices),
             "of tensors, and pieces of 2 MiB");
    for (const runtime::PlanItem& item : memory.items) {
      using runtime::PlanPart;
      const bool own = item.part == PlanPart::kCache || item.part == PlanPart::kActivations ||
                       item.part == PlanPart::kTables;
      if (own && item.device == i) add_part(plan, item.component, item.bytes, item.detail);
    }
    add_part(plan, "workspace", kernels::cuda::workspace_bytes(memory.max_rows, memory.max_width),
             "scratch of the kernels, and the ring for uploads");
    if (way == ExchangeWay::kNccl) {
      add_part(plan, "NCCL", kNcclBytes, "what it takes to exchange parts of sums");
    }
    plan.fits = plan.total_bytes <= plan.memory_bytes;
  }
  const double seconds = way == ExchangeWay::kNccl ? kNcclSeconds : kMainMemorySeconds;
  LLMRUN_TRY(add_speed(file, spec, memory, cards, seconds, result));
  return result;
}

Result<void> check_split_options(bool gpu_layers, bool cpu_experts) {
  if (!gpu_layers && !cpu_experts) return {};
  return make_error(ErrorCode::kUsage,
                    "{} has no effect with --split-mode tensor, where every GPU has a share of "
                    "every layer",
                    gpu_layers ? "--gpu-layers" : "--cpu-experts");
}

}  // namespace llmrun
