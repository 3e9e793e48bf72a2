// What adapters take of the devices, by the layers whose products they change: for those who put
// layers on devices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llmrun::runtime {

class Adapters;
struct ModelSpec;

struct AdapterNeed {
  std::string tensor;       // that is changed
  int64_t layer = 0;        // as TensorUse has it; the first that uses the tensor
  bool of_experts = false;  // of whose adapters a token reads as many as of the experts
  bool shared = false;      // layers of several devices have it each
  uint64_t bytes = 0;
  uint64_t read_bytes = 0;  // by a token, if it used every expert
  uint64_t n_matrices = 0;
};

// `spec` is bound, on one device.
std::vector<AdapterNeed> adapter_needs(const ModelSpec& spec, const Adapters& adapters);

}  // namespace llmrun::runtime
