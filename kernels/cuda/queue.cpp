// Holding launches back, and graphs of steps that repeat.
#include "kernels/cuda/queue.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <thread>
#include <utility>

#include "base/fast_hash.h"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

constexpr size_t kSeenSteps = kMostGraphs;  // as many as may take turns
// So many steps after its last one a graph is not used any more, or so many rounds of all.
constexpr uint64_t kUnusedSteps = 64;
constexpr uint64_t kUnusedRounds = 4;

// fn(launch, parameters) for every launch of the image, until one fails.
template <typename Fn>
cudaError_t for_each_launch(std::span<const std::byte> image, const Fn& fn) {
  while (!image.empty()) {
    Launch launch;
    std::memcpy(static_cast<void*>(&launch), image.data(), sizeof(launch));
    const cudaError_t error = fn(launch, image.data() + sizeof(launch));
    if (error != cudaSuccess) return error;
    image = image.subspan(sizeof(launch) + launch.n_bytes);
  }
  return cudaSuccess;
}

size_t count_launches(std::span<const std::byte> image) {
  size_t n = 0;
  (void)for_each_launch(image, [&](const Launch&, const void*) {
    ++n;
    return cudaSuccess;
  });
  return n;
}

}  // namespace

Queue::~Queue() { forget_graphs(); }

void Queue::forget_graphs() {
  for (const Graph& graph : graphs_) cudaGraphExecDestroy(graph.exec);
  graphs_.clear();
  next_graph_ = graphs_bytes_ = 0;
}

void Queue::use_device() const { cudaSetDevice(device_); }

cudaError_t Queue::add(const Launch& launch, const void* params) {
  if (!holding_) {
    use_device();
    return launch.run(launch, params, stream_);
  }
  const size_t at = image_.size();
  last_at_ = at;
  image_.resize(at + sizeof(launch) + launch.n_bytes);
  std::memcpy(image_.data() + at, static_cast<const void*>(&launch), sizeof(launch));
  std::memcpy(image_.data() + at + sizeof(launch), params, launch.n_bytes);
  return cudaSuccess;
}

bool Queue::take_back() {
  if (last_at_ >= image_.size()) return false;
  image_.resize(last_at_);
  return true;
}

const void* Queue::put_bytes(const void* data, size_t bytes) {
  if (!upload_.has_room(bytes)) {
    // What was put is read before its places are filled again.
    const cudaError_t error = flush();
    if (error != cudaSuccess) put_error_ = error;
    wait();
    upload_.clear();
  }
  const void* const to = upload_.put(data, bytes);
  if (to == nullptr) put_error_ = cudaErrorInvalidValue;
  if (!holding_) {
    const cudaError_t error = upload_.send(stream_);
    if (error != cudaSuccess) put_error_ = error;
  }
  return to;
}

cudaError_t Queue::send_one_by_one() {
  const cudaError_t error = upload_.send(stream_);
  if (error != cudaSuccess) return error;
  return for_each_launch(image_, [&](const Launch& launch, const void* params) {
    return launch.run(launch, params, stream_);
  });
}

cudaError_t Queue::flush() {
  use_device();
  if (!holding_) return cudaSuccess;
  repeats_ = false;
  const cudaError_t error = send_one_by_one();
  image_.clear();
  return error;
}

cudaError_t Queue::end_step() {
  use_device();
  cudaError_t error = cudaSuccess;
  if (!image_.empty() && (!repeats_ || !send_as_graph(error))) error = send_one_by_one();
  image_.clear();
  holding_ = false;
  repeats_ = true;
  ++n_steps_;
  const cudaError_t waiting = wait();
  upload_.clear();
  const cudaError_t putting = put_error_;
  put_error_ = cudaSuccess;
  if (putting != cudaSuccess) return putting;
  return error != cudaSuccess ? error : waiting;
}

cudaError_t Queue::wait() {
  while (watch_) {
    const cudaError_t state = cudaStreamQuery(stream_);
    if (state != cudaErrorNotReady) break;
    watch_();
    std::this_thread::yield();
  }
  return cudaStreamSynchronize(stream_);
}

// ---- graphs ------------------------------------------------------------------------------------

bool Queue::send_as_graph(cudaError_t& error) {
  if (!graphs_work_) return false;
  // The bytes of the ring that the graph would copy are a part of what must repeat.
  const size_t n_sent = upload_.unsent_bytes();
  image_.resize(image_.size() + sizeof(n_sent));
  std::memcpy(image_.data() + image_.size() - sizeof(n_sent), &n_sent, sizeof(n_sent));
  if (Graph* const known = find_graph(); known != nullptr) {
    known->last_use = n_steps_;
    error = cudaGraphLaunch(known->exec, stream_);
    return true;
  }
  const uint64_t hash = fast_hash(image_);
  std::vector<std::byte> image = image_;
  image_.resize(image_.size() - sizeof(n_sent));
  if (std::find(seen_.begin(), seen_.end(), hash) == seen_.end()) {
    if (seen_.size() < kSeenSteps) seen_.push_back(0);
    seen_[next_seen_] = hash;
    next_seen_ = (next_seen_ + 1) % kSeenSteps;
    return false;
  }
  const size_t bytes = graph_bytes(count_launches(image_));
  if (!make_room(bytes)) return false;
  cudaGraphExec_t exec = nullptr;
  if (record(exec) != cudaSuccess) {
    cudaGetLastError();  // it is dealt with: everything goes one by one from now on
    graphs_work_ = false;
    return false;
  }
  graphs_.push_back({std::move(image), exec, bytes, n_steps_});
  graphs_bytes_ += bytes;
  next_graph_ = 0;
  error = cudaGraphLaunch(exec, stream_);
  return true;
}

cudaError_t Queue::record(cudaGraphExec_t& exec) {
  cudaError_t error = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
  if (error != cudaSuccess) return error;
  const cudaError_t sending = upload_.record_send(stream_);
  const cudaError_t launching =
      for_each_launch(image_, [&](const Launch& launch, const void* params) {
        return launch.run(launch, params, stream_);
      });
  cudaGraph_t graph = nullptr;
  error = cudaStreamEndCapture(stream_, &graph);
  if (error == cudaSuccess) error = sending;
  if (error == cudaSuccess) error = launching;
  if (error == cudaSuccess) error = cudaGraphInstantiate(&exec, graph, 0);
  if (graph != nullptr) cudaGraphDestroy(graph);
  return error;
}

// The steps of a pass come in the same order each time, so the first look is mostly enough.
Queue::Graph* Queue::find_graph() {
  const size_t n = graphs_.size();
  for (size_t i = 0; i < n; ++i) {
    const size_t at = (next_graph_ + i) % n;
    if (graphs_[at].image != image_) continue;
    next_graph_ = at + 1;
    return &graphs_[at];
  }
  return nullptr;
}

// Recording takes longer than launching: steps that take turns must not drive out each other's
// graphs.
bool Queue::make_room(size_t bytes) {
  while (graphs_bytes_ + bytes > kGraphsBytes) {
    const auto oldest =
        std::min_element(graphs_.begin(), graphs_.end(),
                         [](const Graph& a, const Graph& b) { return a.last_use < b.last_use; });
    const uint64_t unused = std::max<uint64_t>(kUnusedSteps, kUnusedRounds * graphs_.size());
    if (oldest == graphs_.end() || oldest->last_use + unused > n_steps_) return false;
    cudaGraphExecDestroy(oldest->exec);
    graphs_bytes_ -= oldest->bytes;
    graphs_.erase(oldest);
    next_graph_ = 0;
  }
  return true;
}

}  // namespace llmrun::kernels::cuda
