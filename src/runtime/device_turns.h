// The forward pass of layers that are divided among devices: whose turn it is. Every device has an
// arena that is laid out as the others', so what lies at a place of one has its place in all.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "runtime/arena.h"
#include "runtime/placement.h"
#include "runtime/switched_ops.h"

namespace llmrun::runtime {

struct Pass;

// What a pass uses of a device.
struct TurnPart {
  std::byte* arena = nullptr;
  std::span<const float* const> frequencies;  // per rope, for this context's length
  std::span<const float* const> slopes;       // per layer
};

class DeviceTurns {
 public:
  // Without parts it only measures, and has no ops.
  DeviceTurns(const Placement& placement, std::vector<TurnPart> parts)
      : placement_(placement), parts_(std::move(parts)), device_(placement.of(-1)) {}

  [[nodiscard]] kernels::Ops& ops() { return ops_; }
  [[nodiscard]] const TurnPart& part() const { return parts_[device_]; }
  // Of the device whose turn it is; null when measuring.
  [[nodiscard]] std::byte* arena() const { return measuring() ? nullptr : part().arena; }
  [[nodiscard]] bool measuring() const { return parts_.empty(); }

  // The device of what is before the first layer begins.
  void begin() { begin_on(placement_.of(-1)); }
  [[nodiscard]] bool has_turn(size_t layer) const {
    return placement_.of(static_cast<int64_t>(layer)) == device_;
  }
  // Waits for the device and gives the turn to that of the layer, or that of its experts.
  void give_to(size_t layer) { give_to_device(placement_.of(static_cast<int64_t>(layer))); }
  void give_to_experts(size_t layer) {
    give_to_device(placement_.of_experts(static_cast<int64_t>(layer)));
  }
  // Whether the two differ.
  [[nodiscard]] bool experts_are_elsewhere(size_t layer) const {
    const auto i = static_cast<int64_t>(layer);
    return placement_.of_experts(i) != placement_.of(i);
  }
  // Waits for the last device; the first error of any.
  Result<void> end();

 private:
  void begin_on(size_t device);
  void give_to_device(size_t device);

  const Placement& placement_;
  std::vector<TurnPart> parts_;
  SwitchedOps ops_;
  size_t device_;
  Result<void> status_;
};

// Before the layer is run: when it is on another device than the one before it, takes there what
// the next layers read (`kept`) over memory of the host, and finds the place of `scratch` there,
// whose contents are not needed.
void enter_layer(Pass& pass, std::initializer_list<kernels::Rows*> kept,
                 std::initializer_list<kernels::Rows*> scratch);

}  // namespace llmrun::runtime
