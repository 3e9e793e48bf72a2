// The devices that a model is opened on, and which layers each of them has.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "kernels/backend.h"
#include "llmrun/model.h"
#include "runtime/adapters.h"
#include "runtime/placement.h"
#include "runtime/spec.h"

namespace llmrun {

struct Devices {
  std::vector<std::unique_ptr<kernels::Backend>> backends;
  std::unique_ptr<kernels::Gatherer> gatherer;  // of those, or null
  runtime::Placement placement;                 // of these
  // Why "auto" took them, and what of a model for a GPU is on the CPU; empty: as the user said.
  std::string reason;
  bool must_tell = false;  // the reason is one that everybody should hear: it is about speed
  // Of each device what is free beside the weights, once they are loaded; UINT64_MAX: main memory,
  // which others look after. Empty when there is nothing else.
  [[nodiscard]] Result<std::vector<uint64_t>> free_bytes() const;
};

// Opens the devices that the options name. With GPUs, as many layers go there as fit beside the
// context of the options, or as the options say; the others stay on the CPU, which `reason` tells.
// `adapters` are those of the options, opened.
Result<Devices> open_devices(const gguf::File& file, const runtime::ModelSpec& spec,
                             std::span<const runtime::AdapterFile> adapters,
                             const LoadOptions& options, kernels::MatmulObserver* observer);

}  // namespace llmrun
