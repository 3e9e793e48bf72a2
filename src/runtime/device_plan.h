// What fits on GPUs: the bytes of every part, for the whole model or for its last layers, and the
// speed that bandwidth allows. Pure arithmetic on sizes, so a card need not be here to be planned
// for. The layers of a card follow one another, the last ones on the last card; what no card takes
// stays in main memory and is run by the CPU: whole layers, or the experts of layers alone, which
// are large and of which a token reads few.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "runtime/token_time.h"

namespace llmrun::runtime {

// A kind of card. Sources: the vendor's data sheets.
struct DeviceProfile {
  std::string_view name;  // "rtx4090"
  std::string_view title;
  uint64_t memory_bytes = 0;
  double bytes_per_second = 0;  // of its memory, nominal
};
const std::vector<DeviceProfile>& device_profiles();
// kNotFound names those that there are. Case and spaces do not matter.
Result<DeviceProfile> find_device_profile(std::string_view name);

// What a model and a context ask for.
struct LayerNeed {
  uint64_t weight_bytes = 0;
  uint64_t read_bytes = 0;   // of the weights, what one token reads
  uint64_t cache_bytes = 0;  // keys, values and recurrent states
  bool host_only = false;    // a card's kernels cannot run it
  // Of the weights, the experts; 0: the layer has none.
  uint64_t expert_bytes = 0;
  uint64_t expert_read_bytes = 0;
};
struct ModelNeed {
  std::vector<LayerNeed> layers;
  LayerNeed input;   // the embedding table, when it is not the head's; where the first layer is
  LayerNeed output;  // the head, and all that belongs to no layer; where the last layer is
  // Of weights that several use and that are counted once above: every card has its own.
  uint64_t tied_bytes = 0;     // the head's table, when it is the embedding's
  uint64_t shared_bytes = 0;   // of several layers
  uint64_t adapter_bytes = 0;  // of all the weights above, what adapters add
  uint64_t n_tensors = 0;
  uint64_t activation_bytes = 0;
  uint64_t workspace_bytes = 0;
  uint64_t table_bytes = 0;  // of positions

  [[nodiscard]] int64_t n_expert_layers() const;
};

struct DeviceRequest {
  uint64_t memory_bytes = 0;  // of the card
  double bytes_per_second = 0;
  std::optional<int64_t> layers;  // nullopt: as many as fit
  // Layers whose experts stay in main memory, the first ones that have experts; nullopt: as is
  // best.
  std::optional<int64_t> cpu_experts = {};
};
// kUsage when there are no experts, or fewer layers with experts than that.
Result<void> check_cpu_experts(const ModelNeed& need, std::optional<int64_t> wanted);

struct DevicePart {
  std::string component;
  uint64_t bytes = 0;
  std::string detail;
};
struct DevicePlan {
  std::vector<DevicePart> parts;  // on the card
  uint64_t total_bytes = 0;       // the sum of the parts
  uint64_t memory_bytes = 0;      // of the card
  uint64_t host_bytes = 0;        // weights and caches that stay in main memory
  int64_t n_layers = 0;           // on the card
  int64_t n_layers_all = 0;
  int64_t n_cpu_experts = 0;  // of the layers on the card, those whose experts are not
  bool whole = false;         // nothing is computed on the CPU
  bool fits = false;          // total_bytes <= memory_bytes
  uint64_t read_bytes = 0;    // on the card, what one token reads
};

// What a context of ours takes of a card before anything is put there: a part of every plan.
uint64_t device_context_bytes();
// What so many tensors and the few large allocations lose to alignment.
uint64_t device_rounding_bytes(uint64_t n_tensors);

// With request.layers the plan is for exactly so many, and may not fit; without, it fits whenever
// the parts that every plan has do.
DevicePlan plan_device(const ModelNeed& need, const DeviceRequest& request);

inline constexpr int kHost = -1;
// Several cards, and who has which layer.
struct DivisionPlan {
  std::vector<DevicePlan> cards;
  std::vector<int> layers;        // of each layer its card, or kHost
  std::vector<bool> cpu_experts;  // of each layer: it is on a card, and its experts are not
  uint64_t host_bytes = 0;
  int64_t n_layers = 0;  // on cards
  int64_t n_cpu_experts = 0;
  bool whole = false;  // nothing is computed on the CPU
  bool fits = false;   // every card's part does
  TokenReads reads;
};
// `layers` and `cpu_experts` are for all cards together; those of the requests are not looked at.
// Cards share the layers by their memory when that fits, else each takes what it can. Experts stay
// in main memory when a token then reads less of that than when whole layers do.
DivisionPlan plan_division(const ModelNeed& need, std::span<const DeviceRequest> cards,
                           std::optional<int64_t> layers,
                           std::optional<int64_t> cpu_experts = std::nullopt);

}  // namespace llmrun::runtime
