// From the plan of a model on as many devices in main memory to that of cards.
#include "api/share_plan.h"

#include <fmt/format.h>

#include "api/open_file.h"
#include "base/error.h"
#include "kernels/backend.h"
#include "kernels/cuda/sizes.h"
#include "runtime/model.h"

namespace llmrun {
namespace {

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

}  // namespace

Result<std::vector<runtime::DevicePlan>> plan_shares(
    const gguf::File& file, const runtime::ModelSpec& spec, const ContextOptions& context,
    std::span<const runtime::DeviceRequest> cards) {
  std::vector<std::unique_ptr<kernels::Backend>> stand_ins;
  runtime::Placement placement;
  placement.tensors = true;
  for (size_t i = 0; i < cards.size(); ++i) {
    LLMRUN_ASSIGN(auto backend, kernels::make_backend("cpu", {.threads = 1, .cpu_target = {}}));
    placement.devices.push_back(backend.get());
    stand_ins.push_back(std::move(backend));
  }
  LLMRUN_ASSIGN(const auto wanted, context_options(context, spec));
  LLMRUN_ASSIGN(const auto model,
                runtime::Model::load(file, placement, spec, {}, runtime::LoadFor::kPlanning));
  LLMRUN_ASSIGN(const runtime::MemoryPlan memory, model->plan(wanted));
  const uint64_t alignment = runtime::device_rounding_bytes(count_tensors(spec));
  std::vector<runtime::DevicePlan> plans(cards.size());
  for (size_t i = 0; i < cards.size(); ++i) {
    runtime::DevicePlan& plan = plans[i];
    plan.memory_bytes = cards[i].memory_bytes;
    plan.n_layers = plan.n_layers_all = static_cast<int64_t>(spec.layers.size());
    plan.whole = true;
    add_part(plan, "GPU context", runtime::device_context_bytes(),
             "what the driver takes for itself and our kernels");
    add_part(plan, "weights", memory.device_weights[i],
             fmt::format("the share of one of {} cards, of all layers", cards.size()));
    add_part(plan, "alignment", alignment, "of tensors, and pieces of 2 MiB");
    for (const runtime::PlanItem& item : memory.items) {
      const bool own = item.component == "KV cache" || item.component == "activations" ||
                       item.component == "position tables";
      if (own && item.device == i) add_part(plan, item.component, item.bytes, item.detail);
    }
    add_part(plan, "workspace", kernels::cuda::workspace_bytes(memory.max_rows, memory.max_width),
             "scratch of the kernels, and the ring for uploads");
    plan.fits = plan.total_bytes <= plan.memory_bytes;
  }
  return plans;
}

}  // namespace llmrun
