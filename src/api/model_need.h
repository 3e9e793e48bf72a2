// What a model asks of a card, from its file and the plan of a context in main memory.
#pragma once

#include "gguf/reader.h"
#include "runtime/device_plan.h"
#include "runtime/memory_plan.h"
#include "runtime/spec.h"

namespace llmrun {

runtime::ModelNeed model_need(const gguf::File& file, const runtime::ModelSpec& spec,
                              const runtime::MemoryPlan& plan);

}  // namespace llmrun
