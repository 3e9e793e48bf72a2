// The memory plan with the numbers the allocator needs: what describe() prints is what
// make_context() allocates.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/kv_cache.h"
#include "runtime/memory_plan.h"
#include "runtime/pass.h"
#include "runtime/recurrent_state.h"

namespace llmrun::runtime {

struct LoadedModel;

// What is allocated on each device, or nowhere but there.
struct DeviceBytes {
  uint64_t kv = 0;
  uint64_t state = 0;
  uint64_t workspace = 0;  // the backend's own
};

struct ContextPlan {
  ContextOptions options;  // with every 0 replaced
  KvLayout kv;
  PageCounts n_pages{};
  std::vector<DeviceBytes> devices;
  uint64_t kv_bytes = 0;  // over all devices
  StateLayout state;
  uint64_t state_bytes = 0;
  int64_t n_states = 0;       // of the sequences, and kept ones
  uint64_t arena_bytes = 0;   // on each device
  uint64_t host_bytes = 0;    // for each share
  uint64_t gather_bytes = 0;  // of main memory, where devices that share layers meet
  uint64_t output_bytes = 0;
  int64_t output_rows = 0;  // of logits, or of vectors
  int64_t output_width = 0;
  int64_t max_rows = 0;   // of one product; experts multiply the tokens
  int64_t max_width = 0;  // of a product's input
};

Result<ContextPlan> plan_context(const LoadedModel& model, const ContextOptions& wanted);
MemoryPlan describe(const ContextPlan& plan, const LoadedModel& model);

}  // namespace llmrun::runtime
