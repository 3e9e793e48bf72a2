// What fits on a GPU: the bytes of every part, for the whole model or for its last layers, and the
// speed that bandwidth allows. Pure arithmetic on sizes, so a card need not be here to be planned
// for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"

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
};
struct ModelNeed {
  std::vector<LayerNeed> layers;
  LayerNeed input;   // the embedding table, when it is not the head's
  LayerNeed output;  // the head, and all that belongs to no layer
  uint64_t n_tensors = 0;
  uint64_t activation_bytes = 0;
  uint64_t workspace_bytes = 0;
  uint64_t table_bytes = 0;  // of positions
};

struct DeviceRequest {
  uint64_t memory_bytes = 0;  // of the card
  double bytes_per_second = 0;
  double host_bytes_per_second = 0;  // 0: unknown, then no speed is told for a split
  std::optional<int64_t> layers;     // nullopt: as many as fit
};

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
  bool whole = false;  // nothing is computed on the CPU
  bool fits = false;   // total_bytes <= memory_bytes
  // Tokens per second if reading weights and a full cache were all there is to do; 0: not known.
  double most_tokens_per_second = 0;
};

// With request.layers the plan is for exactly so many, and may not fit; without, it fits whenever
// the parts that every plan has do.
DevicePlan plan_device(const ModelNeed& need, const DeviceRequest& request);

}  // namespace llmrun::runtime
