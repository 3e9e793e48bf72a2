// `llmrun estimate MODEL`: the exact plan of a model on this machine, or of one that a server
// offers, from its header alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "llmrun/error.h"
#include "llmrun/model.h"
#include "store/source.h"

namespace llmrun::cli {

struct PlanRequest {
  std::string model;
  ContextOptions context;
  std::optional<uint64_t> fits;  // memory to hold it against; else what is free on this machine
  bool all_quants = false;       // a table of every quantisation that the repository has
  bool json = false;
  store::SourceOptions source;
};

Result<void> report_memory_plan(const PlanRequest& request);

}  // namespace llmrun::cli
