// The context: KV cache and scratch memory of a model, and the forward pass on them.
#pragma once

#include <memory>
#include <vector>

#include "runtime/context_plan.h"
#include "runtime/model.h"
#include "runtime/pass.h"

namespace llmrun::runtime {

// A model bound to devices that divide its layers; or the share that one device has of all layers.
struct ModelShare {
  ModelSpec spec;
  Weights weights;
  std::vector<PositionTables> tables;  // of each of its devices
};
// What a loaded model consists of. Outlives its contexts.
struct LoadedModel {
  ModelSpec spec;                  // undivided
  Placement placement;             // of all devices
  std::vector<ModelShare> shares;  // one; or one for each device (Placement::tensors)

  [[nodiscard]] bool shared() const { return shares.size() > 1; }
  [[nodiscard]] const PositionTables& tables_of(size_t device) const {
    return shared() ? shares[device].tables[0] : shares[0].tables[device];
  }
};

Result<std::unique_ptr<Context>> make_context(const LoadedModel& model, const ContextPlan& plan);

}  // namespace llmrun::runtime
