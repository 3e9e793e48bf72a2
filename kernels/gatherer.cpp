// Out to memory of the host, wait for the others, and in again.
#include "kernels/gatherer.h"

#include <utility>

#include "kernels/cuda/backend.h"

namespace llmrun::kernels {
namespace {

void copy(Ops& ops, const Rows& from, const Rows& to) {
  GatedActivationParams params;
  params.activation = Activation::kNone;
  params.gate = from;
  params.y = to;
  ops.gated_activation(params);
}

}  // namespace

HostGatherer::HostGatherer(std::span<Backend* const> ranks, float* memory, int64_t most_floats)
    : memory_(memory), most_floats_(most_floats), barrier_(static_cast<ptrdiff_t>(ranks.size())) {
  for (Backend* const backend : ranks) ranks_.push_back({backend, 0, {}});
}

const std::string& HostGatherer::name() const {
  static const std::string kName = "main memory";
  return kName;
}

Rows HostGatherer::place(size_t turn, size_t rank, const Rows& part) const {
  const size_t index = turn % kTurns * ranks_.size() + rank;
  return {memory_ + static_cast<int64_t>(index) * most_floats_, part.n, part.width, part.width};
}

// After an error a device goes on, because the others wait for it: its ops are safe, and the pass
// fails as a whole.
void HostGatherer::gather(size_t rank, const Rows& parts) {
  Rank& own = ranks_[rank];
  const int64_t n = parts.n / static_cast<int64_t>(ranks_.size());
  const auto part_of = [&](size_t other) {
    return Rows{parts.data + static_cast<int64_t>(other) * n * parts.stride, n, parts.width,
                parts.stride};
  };
  const size_t turn = own.turn++;
  copy(own.backend->ops(), part_of(rank), place(turn, rank, part_of(rank)));
  Result<void> done = own.backend->finish();
  if (own.status) own.status = std::move(done);
  barrier_.arrive_and_wait();
  own.backend->begin_step();
  for (size_t other = 0; other < ranks_.size(); ++other) {
    if (other == rank) continue;
    copy(own.backend->ops(), place(turn, other, part_of(other)), part_of(other));
  }
}

Result<void> HostGatherer::finish(size_t rank) {
  Result<void> done = ranks_[rank].backend->finish();
  Result<void> status = std::exchange(ranks_[rank].status, {});
  return status ? done : status;
}

Result<std::unique_ptr<Gatherer>> make_gpu_gatherer(std::span<Backend* const> ranks) {
  return cuda::make_nccl_gatherer(ranks);
}

}  // namespace llmrun::kernels
