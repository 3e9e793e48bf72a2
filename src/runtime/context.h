// The context: KV cache and scratch memory of a model, and the forward pass on them.
#pragma once

#include <memory>
#include <vector>

#include "runtime/context_plan.h"
#include "runtime/model.h"
#include "runtime/pass.h"

namespace llmrun::runtime {

// What a loaded model consists of. Outlives its contexts.
struct LoadedModel {
  ModelSpec spec;
  Weights weights;
  Placement placement;
  std::vector<PositionTables> tables;  // of each device
};

Result<std::unique_ptr<Context>> make_context(const LoadedModel& model, const ContextPlan& plan);

}  // namespace llmrun::runtime
