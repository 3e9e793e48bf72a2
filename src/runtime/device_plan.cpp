// Parts and their sum; the largest number of layers whose sum fits.
#include "runtime/device_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace llmrun::runtime {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// What the driver takes for a context with our kernels, and keeps from programs. An assumption on
// the safe side, which a card has yet to confirm.
constexpr uint64_t kContextBytes = 600 * kMiB;
// The driver hands out memory in pieces of 2 MiB; a plan makes no more than 8 allocations.
constexpr uint64_t kRoundingBytes = 8 * 2 * kMiB;
constexpr uint64_t kTensorAlignment = 256;

// Saturates: sizes come from files.
uint64_t add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

struct Sums {
  uint64_t weights = 0, cache = 0, read = 0;
  void include(const LayerNeed& need) {
    weights = add(weights, need.weight_bytes);
    cache = add(cache, need.cache_bytes);
    read = add(read, add(need.read_bytes, need.cache_bytes));
  }
};

// The last n_layers on the card; the head too when there are any, the input when there are all.
DevicePlan plan_layers(const ModelNeed& need, const DeviceRequest& request, size_t n_layers) {
  DevicePlan plan;
  const size_t n_all = need.layers.size();
  plan.n_layers = static_cast<int64_t>(n_layers);
  plan.n_layers_all = static_cast<int64_t>(n_all);
  plan.memory_bytes = request.memory_bytes;
  plan.whole = n_layers == n_all;
  Sums card, host;
  for (size_t i = 0; i < n_all; ++i) {
    (i + n_layers >= n_all ? card : host).include(need.layers[i]);
  }
  (n_layers > 0 || plan.whole ? card : host).include(need.output);
  (plan.whole ? card : host).include(need.input);
  plan.host_bytes = add(host.weights, host.cache);

  const auto part = [&](const char* component, uint64_t bytes, std::string detail) {
    if (bytes == 0) return;
    plan.parts.push_back({component, bytes, std::move(detail)});
    plan.total_bytes = add(plan.total_bytes, bytes);
  };
  part("GPU context", kContextBytes, "what the driver takes for itself and our kernels");
  if (n_layers > 0 || plan.whole) {
    part("weights", card.weights,
         fmt::format("{} of {} layers{}", n_layers, n_all,
                     plan.whole ? ", embedding and head" : " and the head"));
    part("alignment", add(kRoundingBytes, need.n_tensors * kTensorAlignment),
         fmt::format("{} tensors of {} bytes each, pieces of 2 MiB", need.n_tensors,
                     kTensorAlignment));
    part("cache", card.cache, "keys, values and states of these layers");
    part("activations", need.activation_bytes, "one forward pass");
    part("workspace", need.workspace_bytes, "scratch of the kernels, and the ring for uploads");
    part("position tables", need.table_bytes, "angles and slopes");
  }
  plan.fits = plan.total_bytes <= plan.memory_bytes;
  const bool knows_all = host.read == 0 || request.host_bytes_per_second > 0;
  if (request.bytes_per_second > 0 && knows_all && card.read + host.read > 0) {
    double seconds = static_cast<double>(card.read) / request.bytes_per_second;
    if (host.read > 0) seconds += static_cast<double>(host.read) / request.host_bytes_per_second;
    plan.most_tokens_per_second = 1.0 / seconds;
  }
  return plan;
}

}  // namespace

DevicePlan plan_device(const ModelNeed& need, const DeviceRequest& request) {
  const size_t n_all = need.layers.size();
  if (request.layers) {
    return plan_layers(
        need, request,
        static_cast<size_t>(std::clamp<int64_t>(*request.layers, 0, static_cast<int64_t>(n_all))));
  }
  // More layers never take less, so the first that fits from above is the most.
  for (size_t n = n_all; n > 0; --n) {
    DevicePlan plan = plan_layers(need, request, n);
    if (plan.fits) return plan;
  }
  return plan_layers(need, request, 0);
}

}  // namespace llmrun::runtime
