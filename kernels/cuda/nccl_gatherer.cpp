// GPUs exchange their parts through NCCL's all-gather, which is an op like others: queued on the
// stream, a piece of the step's graph, and not waited for by the host. It moves bytes and adds
// nothing, so the order of the sums is ours. When one device fails, the others would wait for it
// for ever; whoever waits looks after that.
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/nccl.h"
#include "kernels/cuda/ops.h"
#include "kernels/gatherer.h"

namespace llmrun::kernels::cuda {
namespace {

using Clock = std::chrono::steady_clock;
// After a device's failure, until the others give up what may still wait for it.
constexpr std::chrono::seconds kPatience{2};
// Until the first exchange has to be done.
constexpr std::chrono::seconds kFirstPatience{20};
constexpr size_t kProbeFloats = 64;

class NcclGatherer final : public Gatherer {
 public:
  NcclGatherer(const Nccl& nccl, std::span<Backend* const> ranks)
      : nccl_(nccl), name_("NCCL " + nccl.version), ranks_(ranks.size()) {
    for (size_t i = 0; i < ranks.size(); ++i) {
      ranks_[i].all = this;
      ranks_[i].ops = &static_cast<CudaOps&>(ranks[i]->ops());
      ranks_[i].backend = ranks[i];
      ranks_[i].queue().watch([this, i] { look_after(ranks_[i]); });
    }
  }
  // Graphs go first: NCCL waits for those that hold its operations.
  ~NcclGatherer() override {
    for (Rank& rank : ranks_) {
      rank.queue().watch({});
      rank.queue().forget_graphs();
    }
    for (Rank& rank : ranks_) close(rank, broken_);
  }
  NcclGatherer(const NcclGatherer&) = delete;
  NcclGatherer& operator=(const NcclGatherer&) = delete;

  Result<void> open() {
    std::vector<int> devices;
    for (const Rank& rank : ranks_) devices.push_back(rank.queue().device());
    std::vector<NcclComm*> comms(ranks_.size());
    LLMRUN_TRY(
        checked(nccl_.comm_init_all(comms.data(), static_cast<int>(comms.size()), devices.data()),
                "connecting the GPUs"));
    for (size_t i = 0; i < ranks_.size(); ++i) ranks_[i].comm = comms[i];
    Result<void> tried = try_out();
    if (!tried) broken_ = true;
    return tried;
  }

  [[nodiscard]] const std::string& name() const override { return name_; }

  void gather(size_t index, const Rows& parts) override {
    Rank& rank = ranks_[index];
    if (broken_) {
      rank.fail(make_error(ErrorCode::kInternal,
                           "the GPUs cannot exchange any more after an earlier failure; load the "
                           "model again"));
      return;
    }
    const int64_t n = parts.n / static_cast<int64_t>(ranks_.size());
    const Exchange exchange{&rank, parts.data, static_cast<size_t>(n * parts.stride), index};
    Launch launch;
    launch.run = run;
    launch.n_bytes = sizeof(exchange);
    rank.ops->add_launch(launch, &exchange, "an exchange between GPUs");
  }

  Result<void> finish(size_t index) override {
    Rank& rank = ranks_[index];
    Result<void> done = rank.backend->finish();
    Result<void> status = std::exchange(rank.status, {});
    if (!done || !status) {
      failed_at_ = Clock::now().time_since_epoch().count();
      failed_pass_ = rank.n_passes + 1;
    }
    ++rank.n_passes;
    return status ? done : status;
  }

 private:
  struct Rank {
    NcclGatherer* all = nullptr;
    CudaOps* ops = nullptr;
    Backend* backend = nullptr;
    NcclComm* comm = nullptr;
    uint64_t n_passes = 0;
    Result<void> status;

    [[nodiscard]] Queue& queue() const { return ops->queue(); }
    void fail(tl::unexpected<Error> error) {
      if (status) status = std::move(error);
    }
  };
  // The parts of all devices lie in their order; this one's are there.
  struct Exchange {
    Rank* rank;
    float* parts;
    size_t n_floats;  // of one device
    size_t index;
  };

  static cudaError_t run(const Launch& /*launch*/, const void* params, cudaStream_t stream) {
    Exchange exchange;
    std::memcpy(&exchange, params, sizeof(exchange));
    Rank& rank = *exchange.rank;
    NcclGatherer& all = *rank.all;
    if (rank.comm == nullptr) return cudaErrorLaunchFailure;  // given up in the middle of a pass
    Result<void> done = all.checked(
        all.nccl_.all_gather(exchange.parts + exchange.index * exchange.n_floats, exchange.parts,
                             exchange.n_floats, kNcclFloat32, rank.comm, stream),
        "an exchange between GPUs");
    if (done) return cudaSuccess;
    rank.fail(tl::unexpected(std::move(done).error()));
    all.lost_ = true;
    return cudaErrorLaunchFailure;
  }

  [[nodiscard]] Result<void> checked(NcclResult result, const char* what) const {
    if (result == kNcclSuccess) return {};
    return make_error(ErrorCode::kInternal, "{} failed in {}: {}", what, name_,
                      nccl_.get_error_string(result));
  }

  // Called while the host waits for this device, which may be waiting for one that will not come.
  // What failed may have exchanged all it should, so there is time; but not for what was lost.
  void look_after(Rank& rank) {
    if (rank.comm == nullptr) return;
    NcclResult result = kNcclSuccess;
    nccl_.comm_get_async_error(rank.comm, &result);
    if (result != kNcclSuccess && result != kNcclInProgress) {
      if (auto error = checked(result, "an exchange between GPUs"); !error) {
        rank.fail(tl::unexpected(std::move(error).error()));
      }
      lost_ = true;
    }
    const bool failed = failed_pass_ == rank.n_passes + 1;
    const Clock::duration passed = Clock::now().time_since_epoch() - Clock::duration(failed_at_);
    if (!broken_ && !lost_ && (!failed || passed < kPatience)) return;
    broken_ = true;
    close(rank, true);
    rank.fail(make_error(ErrorCode::kInternal,
                         "another GPU failed in the middle of a pass, and the exchange between "
                         "them was given up; load the model again"));
  }

  void close(Rank& rank, bool abort) {
    NcclComm* const comm = std::exchange(rank.comm, nullptr);
    if (comm == nullptr) return;
    rank.queue().use_device();
    abort ? nccl_.comm_abort(comm) : nccl_.comm_destroy(comm);
  }

  // One exchange, whose result is looked at: what was only compiled against has to show that it
  // works before a model relies on it. It also makes NCCL take its memory.
  Result<void> try_out() {
    std::vector<std::unique_ptr<Buffer>> buffers;
    const size_t part = kProbeFloats * sizeof(float);
    for (size_t i = 0; i < ranks_.size(); ++i) {
      LLMRUN_ASSIGN(auto buffer, ranks_[i].backend->allocate(part * ranks_.size()));
      const std::vector<float> own(kProbeFloats, static_cast<float>(i + 1));
      buffer->write(i * part, own.data(), part);
      buffers.push_back(std::move(buffer));
    }
    LLMRUN_TRY(checked(nccl_.group_start(), "a first exchange"));
    Result<void> queued;
    for (size_t i = 0; i < ranks_.size() && queued; ++i) {
      std::byte* const parts = buffers[i]->data();
      queued = checked(nccl_.all_gather(parts + i * part, parts, kProbeFloats, kNcclFloat32,
                                        ranks_[i].comm, ranks_[i].queue().stream()),
                       "a first exchange");
    }
    Result<void> sent = checked(nccl_.group_end(), "a first exchange");
    Result<void> done = !queued ? queued : !sent ? sent : wait_for_all();
    if (!done) {  // buffers must not go before what may still write there
      for (Rank& rank : ranks_) close(rank, true);
      return done;
    }
    for (size_t i = 0; i < ranks_.size(); ++i) LLMRUN_TRY(check_probe(ranks_[i], *buffers[i]));
    return {};
  }

  Result<void> wait_for_all() {
    const Clock::time_point start = Clock::now();
    for (size_t n_done = 0; n_done < ranks_.size();) {
      n_done = 0;
      for (const Rank& rank : ranks_) {
        rank.queue().use_device();
        const cudaError_t state = cudaStreamQuery(rank.queue().stream());
        if (state == cudaSuccess) ++n_done;
        if (state == cudaSuccess || state == cudaErrorNotReady) continue;
        return tl::unexpected(make_cuda_error(state, "a first exchange"));
      }
      if (Clock::now() - start > kFirstPatience) {
        return make_error(ErrorCode::kInternal, "a first exchange through {} took longer than {} s",
                          name_, kFirstPatience.count());
      }
      std::this_thread::yield();
    }
    return {};
  }

  [[nodiscard]] Result<void> check_probe(const Rank& rank, Buffer& buffer) const {
    std::vector<float> all(kProbeFloats * ranks_.size());
    rank.queue().use_device();
    cudaMemcpyAsync(all.data(), buffer.data(), buffer.size(), cudaMemcpyDefault,
                    rank.queue().stream());
    const cudaError_t error = cudaStreamSynchronize(rank.queue().stream());
    if (error != cudaSuccess) return tl::unexpected(make_cuda_error(error, "a first exchange"));
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i] == static_cast<float>(i / kProbeFloats + 1)) continue;
      return make_error(ErrorCode::kInternal, "a first exchange through {} gave wrong values",
                        name_);
    }
    return {};
  }

  const Nccl& nccl_;
  std::string name_;
  std::vector<Rank> ranks_;
  std::atomic<bool> lost_{false};  // an exchange that others wait for was never queued
  // The last pass that failed on a device, counted from 1, and when.
  std::atomic<uint64_t> failed_pass_{0};
  std::atomic<int64_t> failed_at_{0};
  std::atomic<bool> broken_{false};  // nothing can be exchanged any more
};

}  // namespace

Result<std::unique_ptr<Gatherer>> make_nccl_gatherer(std::span<Backend* const> ranks) {
  for (const Backend* const backend : ranks) {
    if (backend->name() != "cuda") {
      return make_error(ErrorCode::kUnsupported, "NCCL is for GPUs only");
    }
  }
  LLMRUN_ASSIGN(const Nccl* const nccl, load_nccl());
  auto gatherer = std::make_unique<NcclGatherer>(*nccl, ranks);
  LLMRUN_TRY(gatherer->open());
  return gatherer;
}

}  // namespace llmrun::kernels::cuda
