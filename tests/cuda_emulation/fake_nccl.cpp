// The functions of NCCL that kernels/cuda calls, with the same binary interface, over the memory of
// emulated devices: an exchange waits, in the order of its stream, until all ranks have come to it.
#include "cuda_emulation/fake_nccl.h"

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_emulation/runtime.h"

namespace {

constexpr int kSuccess = 0, kInternalError = 3, kInvalidUsage = 5, kRemoteError = 6;
constexpr int kFloat32 = 7;

FakeNccl state;

// Ranks that exchange, and what those have brought that came first.
struct Clique {
  std::mutex mutex;
  struct Round {
    std::vector<std::vector<std::byte>> parts;
    size_t n_brought = 0, n_taken = 0;
  };
  std::map<size_t, Round> rounds;
};

}  // namespace

struct ncclComm {
  std::shared_ptr<Clique> clique;
  int n_ranks = 0, rank = 0, device = 0;
  size_t n_calls = 0;   // of ncclAllGather
  size_t n_rounds = 0;  // that this rank has begun
  std::shared_ptr<bool> aborted = std::make_shared<bool>(false);
};

namespace {

// One exchange of one rank, which may be a node of a graph and so come again and again.
class Exchange {
 public:
  Exchange(ncclComm* comm, const std::byte* from, std::byte* to, size_t bytes)
      : comm_(comm),
        clique_(comm->clique),
        aborted_(comm->aborted),
        from_(from),
        to_(to),
        bytes_(bytes) {}

  bool operator()() {
    const std::lock_guard lock(clique_->mutex);
    if (*aborted_) return true;
    if (!begun_) {
      begun_ = true;
      number_ = comm_->n_rounds++;
      Clique::Round& round = clique_->rounds[number_];
      round.parts.resize(static_cast<size_t>(comm_->n_ranks));
      round.parts[static_cast<size_t>(comm_->rank)].assign(from_, from_ + bytes_);
      ++round.n_brought;
    }
    Clique::Round& round = clique_->rounds[number_];
    if (round.n_brought < round.parts.size()) return false;
    for (size_t i = 0; i < round.parts.size(); ++i) {
      std::memcpy(to_ + i * bytes_, round.parts[i].data(), bytes_);
    }
    if (state.wrong_values) to_[0] ^= std::byte{1};
    if (++round.n_taken == round.parts.size()) clique_->rounds.erase(number_);
    begun_ = false;
    ++state.n_exchanges;
    return true;
  }

 private:
  ncclComm* comm_;
  std::shared_ptr<Clique> clique_;
  std::shared_ptr<bool> aborted_;
  const std::byte* from_;
  std::byte* to_;
  size_t bytes_;
  bool begun_ = false;
  size_t number_ = 0;
};

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED FakeNccl* fake_nccl() { return &state; }

EXPORTED int ncclGetVersion(int* version) {
  *version = state.version;
  return kSuccess;
}
EXPORTED const char* ncclGetErrorString(int result) {
  return result == kSuccess       ? "no error"
         : result == kRemoteError ? "remote error"
                                  : "internal error";
}
EXPORTED int ncclCommInitAll(ncclComm** comms, int n, const int* devices) {
  if (state.init_result != kSuccess) return state.init_result;
  const auto clique = std::make_shared<Clique>();
  for (int i = 0; i < n; ++i) {
    comms[i] = new ncclComm{clique, n, i, devices[i]};
    ++state.n_open;
  }
  return kSuccess;
}
EXPORTED int ncclCommDestroy(ncclComm* comm) {
  --state.n_open;
  delete comm;
  return kSuccess;
}
EXPORTED int ncclCommAbort(ncclComm* comm) {
  {
    const std::lock_guard lock(comm->clique->mutex);
    *comm->aborted = true;
    ++state.n_aborted;
  }
  return ncclCommDestroy(comm);
}
EXPORTED int ncclCommGetAsyncError(ncclComm*, int* result) {
  *result = state.async_error ? kRemoteError : kSuccess;
  return kSuccess;
}
#ifndef LLMRUN_FAKE_NCCL_INCOMPLETE
EXPORTED int ncclAllGather(const void* from, void* to, size_t count, int type, ncclComm* comm,
                           cudaStream_t stream) {
  if (type != kFloat32) return kInvalidUsage;
  {
    const std::lock_guard lock(comm->clique->mutex);
    ++state.n_calls;
    if (comm->rank == state.failing_rank && comm->n_calls++ == state.failing_call) {
      return kInternalError;
    }
  }
  cudaSetDevice(comm->device);
  const auto exchange =
      std::make_shared<Exchange>(comm, static_cast<const std::byte*>(from),
                                 static_cast<std::byte*>(to), count * sizeof(float));
  cuda_emulation::enqueue_waiting(stream, [exchange] { return (*exchange)(); });
  return kSuccess;
}
#endif
EXPORTED int ncclGroupStart() { return kSuccess; }
EXPORTED int ncclGroupEnd() { return kSuccess; }
