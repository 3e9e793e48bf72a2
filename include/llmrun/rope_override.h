// Another rotary embedding than the one a model's metadata describe, to use the model with longer
// texts than it was trained on. What is not set stays as the metadata say.
#pragma once

#include <cstdint>
#include <string>

namespace llmrun {

struct RopeOverride {
  std::string scaling = {};      // none, linear, yarn
  double factor = 0;             // positions are divided by it; 0: not set
  double base = 0;               // of the frequencies; 0: not set
  int64_t original_context = 0;  // tokens the model was trained on (yarn); 0: not set

  [[nodiscard]] bool any() const {
    return !scaling.empty() || factor != 0 || base != 0 || original_context != 0;
  }
};

}  // namespace llmrun
