// Which layers a GPU's kernels can run.
#pragma once

#include <string>
#include <vector>

#include "runtime/spec.h"

namespace llmrun::runtime {

// What of the layer has no form on a GPU, in words; empty: all of it has one.
std::string missing_device_form(const LayerSpec& layer);
// Of all layers that miss one: "layer 3: attention with …".
std::vector<std::string> missing_device_forms(const ModelSpec& spec);

}  // namespace llmrun::runtime
