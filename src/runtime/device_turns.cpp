// Giving the turn, and what crosses with it.
#include "runtime/device_turns.h"

#include <array>

#include "runtime/pass.h"

namespace llmrun::runtime {

void DeviceTurns::begin_on(size_t device) {
  device_ = device;
  kernels::Backend& backend = *placement_.devices[device];
  backend.begin_step();
  ops_.switch_to(backend.ops());
}

void DeviceTurns::give_to_device(size_t next) {
  if (measuring()) {
    device_ = next;
    return;
  }
  // The other devices go on after an error too: their ops are safe, and the pass fails as a whole.
  Result<void> done = placement_.devices[device_]->finish();
  if (status_) status_ = std::move(done);
  begin_on(next);
}

Result<void> DeviceTurns::end() {
  Result<void> done = placement_.devices[device_]->finish();
  if (status_) status_ = std::move(done);
  Result<void> status = std::move(status_);
  status_ = {};
  return status;
}

void enter_layer(Pass& pass, std::initializer_list<Rows*> kept,
                 std::initializer_list<Rows*> scratch) {
  DeviceTurns* const turns = pass.turns;
  if (turns == nullptr || turns->has_turn(pass.layer)) return;
  // The memory stays taken until the pass is over: a device may read it late.
  constexpr size_t kMostKept = 4;
  std::array<Rows, kMostKept> crossing;
  size_t n = 0;
  for (const Rows* const rows : kept) {
    if (rows->width == 0) continue;
    crossing[n] = pass.host.rows(rows->n, rows->width);
    copy_rows(pass, *rows, crossing[n++]);
  }
  turns->give_to(pass.layer);
  if (!turns->measuring()) {
    const std::byte* const from = pass.arena.base();
    std::byte* const to = turns->part().arena;
    const auto move = [&](Rows& rows) {
      if (rows.data == nullptr) return;
      const auto at = reinterpret_cast<const std::byte*>(rows.data) - from;
      rows.data = reinterpret_cast<float*>(to + at);
    };
    for (Rows* const rows : kept) move(*rows);
    for (Rows* const rows : scratch) move(*rows);
    move(pass.layer_input);
    pass.arena.move_to(to);
    pass.frequencies = turns->part().frequencies;
    pass.slopes = turns->part().slopes;
  }
  n = 0;
  for (const Rows* const rows : kept) {
    if (rows->width > 0) copy_rows(pass, crossing[n++], *rows);
  }
}

}  // namespace llmrun::runtime
