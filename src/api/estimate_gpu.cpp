// The plan for cards: the model's sizes by layer, and what fits.
#include <algorithm>
#include <string>

#include "api/model_need.h"
#include "api/open_file.h"
#include "api/share_plan.h"
#include "base/error.h"
#include "kernels/backend.h"
#include "llmrun/model_info.h"
#include "llmrun/tools.h"
#include "models/registry.h"
#include "runtime/device_forms.h"
#include "runtime/device_plan.h"

namespace llmrun {
namespace {

constexpr size_t kMaxCards = 64;

struct Cards {
  std::vector<std::string> names;
  std::vector<runtime::DeviceRequest> requests;
};

Result<void> add_card(const GpuKind& kind, const std::string* device, Cards& cards) {
  runtime::DeviceRequest card{kind.memory_bytes, kind.bytes_per_second, std::nullopt};
  std::string name = "a card";
  if (!kind.gpu.empty()) {
    LLMRUN_ASSIGN(const runtime::DeviceProfile profile, runtime::find_device_profile(kind.gpu));
    name = profile.title;
    if (card.memory_bytes == 0) card.memory_bytes = profile.memory_bytes;
    if (card.bytes_per_second == 0) card.bytes_per_second = profile.bytes_per_second;
  }
  if (card.memory_bytes == 0) {  // one that is here
    if (device == nullptr) {
      return make_error(
          ErrorCode::kUsage,
          "--bandwidth is for more cards than are named; name them with --gpu, --vram "
          "or --device");
    }
    const auto found = kernels::find_gpu(*device);
    if (!found) {
      return make_error(found.error().code, "{}; to plan for another card give --gpu or --vram",
                        found.error().message);
    }
    name = fmt::format("{} ({})", found->title, *device);
    card.memory_bytes = found->memory_bytes;
  }
  cards.names.push_back(std::move(name));
  cards.requests.push_back(card);
  return {};
}

// That the speed of main memory changes something.
Result<void> check_host_speed(const GpuRequest& request, const Cards& cards) {
  if (request.host_bytes_per_second == 0) return {};
  if (request.split_tensors) {
    return make_error(ErrorCode::kUsage,
                      "--host-bandwidth has no effect with --split-mode tensor, where nothing "
                      "stays in main memory");
  }
  for (const runtime::DeviceRequest& card : cards.requests) {
    if (card.bytes_per_second > 0) continue;
    return make_error(ErrorCode::kUsage,
                      "--host-bandwidth has no effect when a card's own is not known; give "
                      "--bandwidth or --gpu too");
  }
  return {};
}

Result<Cards> cards_of(const GpuRequest& request) {
  LLMRUN_ASSIGN(const kernels::DeviceChoice choice, kernels::choose_device(request.device));
  if (choice.device == "cpu") {
    return make_error(ErrorCode::kUsage, "a plan for cards needs a device like cuda or cuda:0,1");
  }
  const std::vector<std::string> devices = kernels::devices_of(choice);
  const size_t n = std::max(devices.size(), request.kinds.size());
  if (devices.size() > 1 && request.kinds.size() > 1 && devices.size() != request.kinds.size()) {
    return make_error(ErrorCode::kUsage, "--device names {} cards, and {} are described",
                      devices.size(), request.kinds.size());
  }
  if (n > kMaxCards) {
    return make_error(ErrorCode::kUsage, "a plan is for at most {} cards", kMaxCards);
  }
  Cards cards;
  for (size_t i = 0; i < n; ++i) {
    const GpuKind kind = request.kinds.empty()       ? GpuKind{}
                         : request.kinds.size() == 1 ? request.kinds[0]
                                                     : request.kinds[i];
    LLMRUN_TRY(add_card(kind, i < devices.size() ? &devices[i] : nullptr, cards));
  }
  LLMRUN_TRY(check_host_speed(request, cards));
  if (!request.split_tensors) return cards;
  if (n == 1) {
    return make_error(ErrorCode::kUsage,
                      "--split-mode tensor is for several GPUs: name them (--device cuda:0,1 or "
                      "--gpu rtx4090,rtx4090)");
  }
  LLMRUN_TRY(check_split_options(request.layers.has_value(), request.cpu_experts.has_value()));
  return cards;
}

void add_cards(const Cards& cards, const std::vector<runtime::DevicePlan>& plans,
               GpuEstimate& result) {
  for (size_t i = 0; i < plans.size(); ++i) {
    const runtime::DevicePlan& plan = plans[i];
    GpuCardEstimate card{cards.names[i],
                         {},
                         plan.total_bytes,
                         plan.memory_bytes,
                         plan.n_layers,
                         plan.n_cpu_experts,
                         plan.fits,
                         plan.read_bytes,
                         cards.requests[i].bytes_per_second};
    for (const runtime::DevicePart& part : plan.parts) {
      card.items.push_back({part.component, part.bytes, part.detail});
    }
    result.cards.push_back(std::move(card));
  }
}

// Of a division that leaves something in main memory this needs the speed of that.
void add_speed(const runtime::TokenReads& reads, const Cards& cards, const GpuRequest& request,
               GpuEstimate& result) {
  std::vector<double> speeds;
  for (const runtime::DeviceRequest& card : cards.requests) {
    speeds.push_back(card.bytes_per_second);
    if (card.bytes_per_second == 0) return;
  }
  if (reads.host > 0) {
    result.host_speed_measured = request.host_bytes_per_second == 0;
    result.host_bytes_per_second = result.host_speed_measured
                                       ? measure_read_gigabytes_per_second() * 1e9
                                       : request.host_bytes_per_second;
  }
  result.most_tokens_per_second =
      runtime::most_tokens_per_second(reads, speeds, result.host_bytes_per_second);
}

// Whole layers on each card.
Result<void> add_division(const gguf::File& file, const runtime::ModelSpec& spec,
                          const runtime::ContextOptions& context, const Cards& cards,
                          const GpuRequest& request, GpuEstimate& result) {
  LLMRUN_ASSIGN(const auto backend, kernels::make_backend("cpu", {}));
  LLMRUN_ASSIGN(const auto model, runtime::Model::load(file, *backend, spec));
  LLMRUN_ASSIGN(const runtime::MemoryPlan memory, model->plan(context));
  const runtime::ModelNeed need = model_need(file, model->spec(), memory);
  LLMRUN_TRY(runtime::check_cpu_experts(need, request.cpu_experts));
  const runtime::DivisionPlan plan =
      runtime::plan_division(need, cards.requests, request.layers, request.cpu_experts);
  add_cards(cards, plan.cards, result);
  result.host_bytes = plan.host_bytes;
  result.n_layers = plan.n_layers;
  result.n_cpu_experts = plan.n_cpu_experts;
  result.whole = plan.whole;
  result.fits = plan.fits;
  result.host_read_bytes = plan.reads.host;
  result.n_crossings = plan.reads.n_crossings;
  result.crossing_seconds = runtime::crossing_seconds(plan.reads);
  add_speed(plan.reads, cards, request, result);
  result.host_only = runtime::missing_device_forms(spec);
  return {};
}

// A share of every layer on each.
Result<void> add_shares(const gguf::File& file, const runtime::ModelSpec& spec,
                        const runtime::ContextOptions& context, const Cards& cards,
                        GpuEstimate& result) {
  LLMRUN_ASSIGN(const SharedPlan plan,
                plan_shares(file, spec, context, cards.requests, ExchangeWay::kNccl));
  add_cards(cards, plan.cards, result);
  result.n_layers = result.n_layers_all;
  result.whole = true;
  result.fits = std::all_of(plan.cards.begin(), plan.cards.end(),
                            [](const runtime::DevicePlan& card) { return card.fits; });
  result.most_tokens_per_second = plan.most_tokens_per_second;
  result.n_exchanges = plan.n_meetings;
  result.exchange_bytes = plan.exchange_bytes;
  result.exchange_seconds = plan.exchange_seconds;
  return {};
}

}  // namespace

std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  for (const auto& profile : runtime::device_profiles()) names.emplace_back(profile.name);
  return names;
}

Result<GpuEstimate> estimate_gpu(const std::filesystem::path& path, const ContextOptions& options,
                                 const GpuRequest& request) {
  LLMRUN_ASSIGN(const Cards cards, cards_of(request));
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(path));
  auto spec = models::build_spec(file);
  if (!spec) return with_context(spec.error(), path.string());
  LLMRUN_ASSIGN(const auto context, context_options(options, *spec));
  GpuEstimate result;
  result.context_tokens = context.context_tokens;
  result.n_layers_all = static_cast<int64_t>(spec->layers.size());
  Result<void> planned = request.split_tensors
                             ? add_shares(file, *spec, context, cards, result)
                             : add_division(file, *spec, context, cards, request, result);
  if (!planned) return with_context(std::move(planned).error(), path.string());
  return result;
}

}  // namespace llmrun
