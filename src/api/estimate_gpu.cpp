// The plan for a card: the model's sizes by layer, and what fits.
#include <string>

#include "api/model_need.h"
#include "api/open_file.h"
#include "base/error.h"
#include "kernels/cuda/backend.h"
#include "llmrun/model_info.h"
#include "models/registry.h"
#include "runtime/device_forms.h"
#include "runtime/device_plan.h"

namespace llmrun {
namespace {

Result<runtime::DeviceRequest> request_of(const GpuRequest& request, std::string& card) {
  runtime::DeviceRequest result{request.memory_bytes, request.bytes_per_second, 0.0,
                                request.layers};
  card = "a card";
  if (!request.gpu.empty()) {
    LLMRUN_ASSIGN(const runtime::DeviceProfile profile, runtime::find_device_profile(request.gpu));
    card = profile.title;
    if (result.memory_bytes == 0) result.memory_bytes = profile.memory_bytes;
    if (result.bytes_per_second == 0) result.bytes_per_second = profile.bytes_per_second;
  }
  if (result.memory_bytes == 0) {  // the one that is here
    const auto devices = kernels::cuda::list_devices();
    if (!devices) {
      return make_error(devices.error().code, "{}; to plan for another card give --gpu or --vram",
                        devices.error().message);
    }
    card = devices->front().name;
    result.memory_bytes = devices->front().total_bytes;
  }
  return result;
}

}  // namespace

std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  for (const auto& profile : runtime::device_profiles()) names.emplace_back(profile.name);
  return names;
}

Result<GpuEstimate> estimate_gpu(const std::filesystem::path& path, const ContextOptions& options,
                                 const GpuRequest& request) {
  GpuEstimate result;
  LLMRUN_ASSIGN(const runtime::DeviceRequest wanted, request_of(request, result.card));
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(path));
  auto spec = models::build_spec(file);
  if (!spec) return with_context(spec.error(), path.string());
  LLMRUN_ASSIGN(const auto context, context_options(options, *spec));
  LLMRUN_ASSIGN(const auto backend, kernels::make_backend("cpu", {}));
  auto model = runtime::Model::load(file, *backend, std::move(*spec));
  if (!model) return with_context(model.error(), path.string());
  LLMRUN_ASSIGN(const runtime::MemoryPlan memory, (*model)->plan(context));
  const runtime::DevicePlan plan =
      runtime::plan_device(model_need(file, (*model)->spec(), memory), wanted);
  for (const runtime::DevicePart& part : plan.parts) {
    result.items.push_back({part.component, part.bytes, part.detail});
  }
  result.total_bytes = plan.total_bytes;
  result.memory_bytes = plan.memory_bytes;
  result.host_bytes = plan.host_bytes;
  result.context_tokens = memory.context_tokens;
  result.n_layers = plan.n_layers;
  result.n_layers_all = plan.n_layers_all;
  result.whole = plan.whole;
  result.fits = plan.fits;
  result.most_tokens_per_second = plan.most_tokens_per_second;
  result.host_only = runtime::missing_device_forms((*model)->spec());
  return result;
}

}  // namespace llmrun
