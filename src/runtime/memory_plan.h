// Every byte a model and a context will take, known before anything is allocated. `llmrun
// estimate` prints this plan and the loader allocates exactly it, so the two cannot disagree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "llmrun/embedding_options.h"
#include "runtime/adapter_need.h"

namespace llmrun::runtime {

struct ContextOptions {
  int64_t context_tokens = 0;  // per sequence; 0: the model's own maximum
  int64_t max_sequences = 1;
  int64_t batch_tokens = 512;  // largest forward pass
  // Most rows of logits one forward pass gives; 0: batch_tokens. Whoever wants the last row of
  // each sequence only saves memory with max_sequences: a row has n_vocab floats.
  int64_t logits_rows = 0;
  // Tokens that the caches of all sequences hold together, at least context_tokens; 0: as many as
  // max_sequences times context_tokens. Whoever asks for less makes sure that no batch needs more.
  int64_t pool_tokens = 0;
  // Ends of texts that can be gone on from later, beside the running sequences: recurrent states
  // and the last tokens of sliding windows. Models without either keep as many as the pool holds.
  int64_t kept_ends = 0;
  // Set: a context for embed(), in which context_tokens is the longest text and max_sequences the
  // most texts of one pass. It keeps no cache between passes and gives no logits.
  std::optional<Pooling> pooling = std::nullopt;
  kernels::CacheType k_type = kernels::CacheType::kF16;
  kernels::CacheType v_type = kernels::CacheType::kF16;
  bool commit = false;  // take all memory from the system at once, see kernels::Buffer::commit
};

// What bytes are for.
enum class PlanPart : uint8_t {
  // There before a context is.
  kWeights,
  kConvertedWeights,
  kAdapters,
  kTables,  // of positions
  // Of a context.
  kCache,  // keys and values
  kStates,
  kActivations,
  kWorkspace,
  kOutput,       // logits or vectors
  kBookkeeping,  // what the host writes for a pass, and what crosses between devices
};

struct PlanItem {
  PlanPart part = PlanPart::kWeights;
  std::string component;  // for the reader: "weights (mapped file)", "KV cache", "logits", …
  uint64_t bytes = 0;
  std::string detail;   // how the number comes about, for the reader
  bool mapped = false;  // pages of a file: the system may drop them and read them again
  size_t device = 0;    // in whose memory, as a place in Placement::devices

  [[nodiscard]] bool of_model() const { return part <= PlanPart::kTables; }
};

// What one device has of adapters.
struct DeviceAdapters {
  uint64_t bytes = 0;
  uint64_t n_matrices = 0;
};

struct MemoryPlan {
  std::vector<PlanItem> items;
  int64_t context_tokens = 0;
  int64_t max_sequences = 1;
  int64_t pool_tokens = 0;
  int64_t logits_rows = 0;  // 0: a context for vectors
  // Of the KV cache and the recurrent states, what each layer has. Empty where layers share it.
  std::vector<uint64_t> layer_cache_bytes;
  std::vector<uint64_t> device_weights;  // bytes of each device
  std::vector<DeviceAdapters> device_adapters;
  std::vector<AdapterNeed> adapters;    // by layers, when all are on one device
  int64_t max_rows = 0, max_width = 0;  // the largest product, for the scratch of other backends
  [[nodiscard]] uint64_t total_bytes() const;
  // On one device, or on all.
  [[nodiscard]] uint64_t bytes_of(PlanPart part, std::optional<size_t> device = {}) const;
};

}  // namespace llmrun::runtime
