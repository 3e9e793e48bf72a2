// The plan for a card: the model's sizes by layer, and what fits.
#include <charconv>
#include <string>

#include "api/open_file.h"
#include "base/error.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/sizes.h"
#include "llmrun/model_info.h"
#include "models/registry.h"
#include "runtime/device_plan.h"

namespace llmrun {
namespace {

// The layer that a tensor belongs to; -1: none ("blk.7.attn_q.weight" is of layer 7).
int64_t layer_of(std::string_view name, int64_t n_layers) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return -1;
  name.remove_prefix(kPrefix.size());
  int64_t layer = -1;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, layer);
  return error == std::errc() && stop != end && *stop == '.' && layer < n_layers ? layer : -1;
}

uint64_t bytes_of(const runtime::MemoryPlan& plan, std::string_view component) {
  for (const runtime::PlanItem& item : plan.items) {
    if (item.component == component) return item.bytes;
  }
  return 0;
}

runtime::ModelNeed need_of(const gguf::File& file, const runtime::ModelSpec& spec,
                           const runtime::MemoryPlan& plan) {
  runtime::ModelNeed need;
  need.layers.resize(spec.layers.size());
  for (size_t i = 0; i < plan.layer_cache_bytes.size(); ++i) {
    need.layers[i].cache_bytes = plan.layer_cache_bytes[i];
  }
  const std::map<std::string, double> shares = token_shares(spec);
  const std::string& head = spec.head.output.weight.name;
  std::map<std::string, bool> counted;
  runtime::ModelSpec copy = spec;
  runtime::for_each_tensor(copy, [&](runtime::TensorDecl& tensor, bool) {
    const gguf::TensorInfo* const found = file.find_tensor(tensor.name);
    if (found == nullptr || !counted.emplace(tensor.name, true).second) return;
    const int64_t layer = layer_of(tensor.name, static_cast<int64_t>(need.layers.size()));
    runtime::LayerNeed& to = layer >= 0 ? need.layers[static_cast<size_t>(layer)]
                             : tensor.name == spec.embedding.table.name && tensor.name != head
                                 ? need.input
                                 : need.output;
    const auto share = shares.find(tensor.name);
    const double read = share == shares.end() ? 1.0 : share->second;
    to.weight_bytes += found->size_bytes;
    to.read_bytes += static_cast<uint64_t>(read * static_cast<double>(found->size_bytes));
    ++need.n_tensors;
  });
  need.output.weight_bytes += bytes_of(plan, "weights (converted)");
  need.activation_bytes = bytes_of(plan, "activations");
  const uint64_t logits = bytes_of(plan, "logits");  // the card has them too, and finds the best
  if (logits > 0) {
    const int64_t n_rows = static_cast<int64_t>(logits / sizeof(float)) / spec.n_vocab;
    need.activation_bytes += logits + kernels::cuda::find_best_bytes(n_rows, spec.n_vocab);
  }
  if (plan.layer_cache_bytes.empty()) {
    need.activation_bytes += bytes_of(plan, "KV cache") + bytes_of(plan, "recurrent state");
  }
  need.workspace_bytes = kernels::cuda::workspace_bytes(plan.max_rows, plan.max_width);
  need.table_bytes = bytes_of(plan, "position tables");
  return need;
}

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
      runtime::plan_device(need_of(file, (*model)->spec(), memory), wanted);
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
  return result;
}

}  // namespace llmrun
