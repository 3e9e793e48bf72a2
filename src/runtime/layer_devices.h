// Which device has each layer, for those who lay out what layers keep: keys, values and states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace llmrun::runtime {

struct LayerDevices {
  std::span<const uint8_t> of_layer{};  // empty: the first has all
  size_t count = 1;                     // devices, with layers or without

  [[nodiscard]] uint8_t operator[](size_t layer) const {
    return of_layer.empty() ? uint8_t{0} : of_layer[layer];
  }
};

}  // namespace llmrun::runtime
