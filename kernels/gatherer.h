// Where devices that share the layers of a model meet: each has computed a part of a sum, and needs
// the parts of all. They are gathered rather than added on the way, so that every device adds them
// in the same order, whatever their size is and whatever way they took.
#pragma once

#include <barrier>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace llmrun::kernels {

class Gatherer {
 public:
  virtual ~Gatherer() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;  // the way that parts take
  // Called once by each device's thread, between its ops. `parts` lies on the device and has as
  // many rows for each device, in their order: its own are there, and the ops that follow find all.
  virtual void gather(size_t rank, const Rows& parts) = 0;
  // In the place of Backend::finish(); the first error since the last call.
  virtual Result<void> finish(size_t rank) = 0;
};

// Between GPUs without the host, through NCCL. The error says why that cannot be.
Result<std::unique_ptr<Gatherer>> make_gpu_gatherer(std::span<Backend* const> ranks);

// Through memory of the host, which works with any backends.
class HostGatherer final : public Gatherer {
 public:
  // `memory` is reached by all the devices, and has bytes_for() the largest parts of one device.
  HostGatherer(std::span<Backend* const> ranks, float* memory, int64_t most_floats);
  static constexpr size_t bytes_for(size_t n_ranks, int64_t most_floats) {
    return kTurns * n_ranks * static_cast<size_t>(most_floats) * sizeof(float);
  }
  [[nodiscard]] const std::string& name() const override;
  void gather(size_t rank, const Rows& parts) override;
  Result<void> finish(size_t rank) override;

 private:
  // Places are used in turn: whoever fills one again has met all others since, and so they have
  // read what was there.
  static constexpr size_t kTurns = 2;
  struct Rank {
    Backend* backend = nullptr;
    size_t turn = 0;
    Result<void> status;
  };

  [[nodiscard]] Rows place(size_t turn, size_t rank, const Rows& part) const;

  std::vector<Rank> ranks_;
  float* memory_;
  int64_t most_floats_;
  std::barrier<> barrier_;
};

}  // namespace llmrun::kernels
