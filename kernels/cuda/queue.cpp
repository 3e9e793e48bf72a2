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

constexpr size_t kSeenSteps = 16;
constexpr uint64_t kUnusedSteps = 64;

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

}  // namespace

Queue::~Queue() { forget_graphs(); }

void Queue::forget_graphs() {
  for (const Graph& graph : graphs_) cudaGraphExecDestroy(graph.exec);
  graphs_.clear();
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
  const auto known = std::find_if(graphs_.begin(), graphs_.end(),
                                  [&](const Graph& graph) { return graph.image == image_; });
  if (known != graphs_.end()) {
    known->last_use = n_steps_;
    error = cudaGraphLaunch(known->exec, stream_);
    return true;
  }
  const uint64_t hash = fast_hash(image_);
  std::vector<std::byte> image = image_;
  image_.resize(image_.size() - sizeof(n_sent));
  if (std::find(seen_.begin(), seen_.end(), hash) == seen_.end()) {
    seen_.resize(kSeenSteps);
    seen_[next_seen_] = hash;
    next_seen_ = (next_seen_ + 1) % kSeenSteps;
    return false;
  }
  // Recording takes longer than launching: steps that take turns must not drive out each other's
  // graphs (a pass that waits for experts of the CPU is a step for each such layer).
  if (graphs_.size() == kMaxGraphs && oldest()->last_use + kUnusedSteps > n_steps_) return false;
  cudaGraphExec_t exec = nullptr;
  if (record(exec) != cudaSuccess) {
    cudaGetLastError();  // it is dealt with: everything goes one by one from now on
    graphs_work_ = false;
    return false;
  }
  keep({std::move(image), exec, n_steps_});
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

std::vector<Queue::Graph>::iterator Queue::oldest() {
  return std::min_element(graphs_.begin(), graphs_.end(),
                          [](const Graph& a, const Graph& b) { return a.last_use < b.last_use; });
}

void Queue::keep(Graph graph) {
  if (graphs_.size() < kMaxGraphs) {
    graphs_.push_back(std::move(graph));
    return;
  }
  cudaGraphExecDestroy(oldest()->exec);
  *oldest() = std::move(graph);
}

}  // namespace llmrun::kernels::cuda
