// Which device runs each layer of a model, or that all of them do. The embedding is on the device
// of the first layer, and what follows the last layer on the device of that; weights, keys, values
// and states lie where they are used. The experts of a layer may be on another device than the rest
// of it: they are large, and a token reads few of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/gatherer.h"

namespace llmrun::runtime {

struct Placement {
  std::vector<kernels::Backend*> devices;
  std::vector<uint8_t> layers;  // of each layer, its place in `devices`; empty: all on the first
  std::vector<std::string> names = {};  // of the devices, for people; empty: the backends' own
  // Every device has a share of every layer instead: some of its heads and columns.
  bool tensors = false;
  // How they exchange their parts then; null: through main memory.
  kernels::Gatherer* gatherer = nullptr;
  // Of each layer, the device of its experts, if it has any; empty: that of the layer.
  std::vector<uint8_t> experts = {};

  // The device of a layer; -1: what is before the first, n_layers: what follows the last.
  [[nodiscard]] size_t of(int64_t layer) const {
    if (layers.empty()) return 0;
    return layers[static_cast<size_t>(
        std::clamp<int64_t>(layer, 0, static_cast<int64_t>(layers.size()) - 1))];
  }
  [[nodiscard]] size_t of_experts(int64_t layer) const {
    return experts.empty() ? of(layer) : experts[static_cast<size_t>(layer)];
  }
  [[nodiscard]] kernels::Backend& backend_of(int64_t layer) const { return *devices[of(layer)]; }
  [[nodiscard]] std::string name(size_t device) const {
    return names.empty() ? std::string(devices[device]->name()) : names[device];
  }
  [[nodiscard]] bool divided() const { return devices.size() > 1; }
  // Memory that the host writes and every device reads: a GPU's when there is one.
  [[nodiscard]] kernels::Backend& for_shared() const { return *devices.back(); }
};

}  // namespace llmrun::runtime
