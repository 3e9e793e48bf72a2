// What each of several cards takes of a model whose every layer they share, and how fast that can
// be.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/reader.h"
#include "runtime/adapters.h"
#include "runtime/device_plan.h"
#include "runtime/memory_plan.h"
#include "runtime/spec.h"

namespace llmrun {

// How the cards exchange their parts.
enum class ExchangeWay : uint8_t { kNccl, kMainMemory };
// What NCCL takes of each card for itself: an assumption on the safe side.
inline constexpr uint64_t kNcclBytes = uint64_t{400} << 20;

struct SharedPlan {
  std::vector<runtime::DevicePlan> cards;
  // Of one token: how often the cards meet, the bytes that each receives from the others, and how
  // long that is taken to last.
  int64_t n_meetings = 0;
  uint64_t exchange_bytes = 0;
  double exchange_seconds = 0;
  double most_tokens_per_second = 0;  // 0: the speed of a card is not known
};

// Exact but for what the driver takes, and without any card: the shares are bound, and of weights
// nothing is read or copied. kUnsupported names what of the model cannot be shared or has no form
// on a GPU.
Result<SharedPlan> plan_shares(const gguf::File& file, const runtime::ModelSpec& spec,
                               const runtime::ContextOptions& context,
                               std::span<const runtime::DeviceRequest> cards, ExchangeWay way,
                               std::span<const runtime::AdapterFile> adapters = {});

// kUsage when options that divide layers are given beside a tensor split, which has none to divide.
Result<void> check_split_options(bool gpu_layers, bool cpu_experts);

}  // namespace llmrun
