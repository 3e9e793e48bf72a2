// One device, one stream, and all that lies on it.
#include "kernels/cuda/backend.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/ops.h"
#include "kernels/cuda/queue.h"
#include "kernels/cuda/sizes.h"
#include "kernels/cuda/weight_upload.h"

namespace llmrun::kernels::cuda {
namespace {

size_t weight_bytes(const Weight& weight) {
  return static_cast<size_t>(weight.n_matrices * weight.n_out) * weight.row_bytes;
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(int index, Device device, cudaStream_t stream, int capability,
              std::optional<ProductForm> form)
      : device_(std::move(device)),
        stream_(stream),
        queue_(stream, index),
        ops_(queue_, capability, form) {}
  ~CudaBackend() override { cudaStreamSynchronize(stream_.get()); }
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  Result<void> open() { return queue_.open(); }
  [[nodiscard]] std::string_view name() const override { return "cuda"; }
  [[nodiscard]] std::string_view target() const override { return device_.target; }
  [[nodiscard]] int threads() const override { return 1; }

  Result<std::unique_ptr<Buffer>> allocate(size_t bytes) override {
    queue_.use_device();
    auto memory = std::make_unique<DeviceMemory>(&queue_);
    LLMRUN_TRY(memory->allocate(bytes, false));
    memory->clear(0, bytes);
    return memory;
  }
  Result<std::unique_ptr<Buffer>> allocate_shared(size_t bytes) override {
    queue_.use_device();
    auto memory = std::make_unique<DeviceMemory>(&queue_);
    LLMRUN_TRY(memory->allocate(bytes, true));
    if (bytes > 0) std::memset(memory->data(), 0, bytes);
    return memory;
  }

  Result<void> reserve_weights(const std::vector<size_t>& sizes) override {
    size_t total = 0;
    for (const size_t bytes : sizes) total += aligned(bytes);
    weights_used_ = 0;
    queue_.use_device();
    return weights_.allocate(total, false);
  }
  Result<Weight> prepare(const Weight& weight) override {
    const size_t bytes = weight_bytes(weight);
    queue_.use_device();
    LLMRUN_ASSIGN(std::byte* const to, room_for(bytes));
    if (bytes > 0) {
      ops_.check(weight_upload_.send(to, weight.data, bytes), "an upload");
    }
    Weight prepared = weight;
    prepared.data = to;
    return prepared;
  }

  [[nodiscard]] size_t workspace_bytes(int64_t max_tokens, int64_t max_width) const override {
    return ops_.workspace_bytes(max_tokens, max_width);
  }
  Result<void> reserve(int64_t max_tokens, int64_t max_width) override {
    queue_.use_device();
    return ops_.reserve(max_tokens, max_width);
  }
  Ops& ops() override { return ops_; }
  [[nodiscard]] size_t find_best_bytes(int64_t n, int64_t width) const override {
    return cuda::find_best_bytes(n, width);
  }
  void find_best(const FindBestParams& params) override { ops_.find_best(params); }
  void draw(const DrawParams& params) override { ops_.draw(params); }

  void begin_step() override { queue_.begin_step(); }
  Result<void> finish() override {
    weight_upload_.close();
    return ops_.finish();
  }

 private:
  // From what reserve_weights() took, or else from an allocation of its own.
  Result<std::byte*> room_for(size_t bytes) {
    if (weights_used_ + aligned(bytes) <= weights_.size()) {
      std::byte* const at = weights_.data() + weights_used_;
      weights_used_ += aligned(bytes);
      return at;
    }
    auto memory = std::make_unique<DeviceMemory>();
    LLMRUN_TRY(memory->allocate(bytes, false));
    more_weights_.push_back(std::move(memory));
    return more_weights_.back()->data();
  }

  struct DestroyStream {
    void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
  };

  Device device_;
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, DestroyStream> stream_;
  Queue queue_;
  WeightUpload weight_upload_{stream_.get()};
  DeviceMemory weights_;
  size_t weights_used_ = 0;
  std::vector<std::unique_ptr<DeviceMemory>> more_weights_;
  CudaOps ops_;
};

// What LLMRUN_CUDA_PRODUCTS says, with which tests and measurements choose the kernel of prompts.
Result<std::optional<ProductForm>> named_form(int capability) {
  const char* const variable =
      std::getenv("LLMRUN_CUDA_PRODUCTS");  // NOLINT(concurrency-mt-unsafe)
  const std::string_view name = variable == nullptr ? "" : variable;
  if (name.empty()) return std::nullopt;
  if (name == "mma") return ProductForm::kMma;
  if (name != "wgmma") {
    return make_error(ErrorCode::kUsage, "LLMRUN_CUDA_PRODUCTS is \"{}\"; it can be mma or wgmma",
                      name);
  }
#ifdef LLMRUN_CUDA_WARP_GROUPS
  if (capability == 90) return ProductForm::kWarpGroups;
#endif
  return make_error(ErrorCode::kUnsupported,
                    "LLMRUN_CUDA_PRODUCTS=wgmma needs a GPU of compute capability 9.0 and a build "
                    "for 90a; this one is of {}.{}",
                    capability / 10, capability % 10);
}

// The driver's answer in words that say what to do.
tl::unexpected<Error> no_device(cudaError_t error) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) {
    return make_error(ErrorCode::kUnsupported,
                      "there is no NVIDIA driver on this machine (libcuda.so.1 was not found); "
                      "install one, or use --device cpu");
  }
  if (error == cudaErrorInsufficientDriver) {
    return make_error(
        ErrorCode::kUnsupported,
        "the NVIDIA driver is for CUDA {}.{}, which is too old for this build; update "
        "the driver, or use --device cpu",
        driver / 1000, driver % 1000 / 10);
  }
  return make_error(ErrorCode::kUnsupported, "the NVIDIA driver offers no GPU: {}",
                    cudaGetErrorString(error));
}

}  // namespace

Result<std::vector<Device>> list_devices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    cudaGetLastError();  // it is told here and must not be told again
    return no_device(error == cudaSuccess ? cudaErrorNoDevice : error);
  }
  std::vector<Device> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    const cudaError_t asked = cudaGetDeviceProperties(&properties, i);
    if (asked != cudaSuccess) return tl::unexpected(make_cuda_error(asked, "asking for devices"));
    devices.push_back({properties.name, fmt::format("sm_{}{}", properties.major, properties.minor),
                       properties.totalGlobalMem});
  }
  return devices;
}

Result<Device> find_device(int index) {
  LLMRUN_ASSIGN(const std::vector<Device> devices, list_devices());
  if (index < 0 || static_cast<size_t>(index) >= devices.size()) {
    return make_error(ErrorCode::kUsage, "there is no device cuda:{}; this machine has {} GPU{}",
                      index, devices.size(), devices.size() == 1 ? "" : "s");
  }
  return devices[static_cast<size_t>(index)];
}

Result<uint64_t> free_bytes(int device) {
  size_t free = 0, total = 0;
  cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  if (error != cudaSuccess) return tl::unexpected(make_cuda_error(error, "asking for free memory"));
  return free;
}

Result<std::unique_ptr<Backend>> make_cuda_backend(int device, const BackendOptions& options) {
  LLMRUN_ASSIGN(const Device found, find_device(device));
  if (options.observer != nullptr) {
    return make_error(ErrorCode::kUnsupported,
                      "importances are gathered on the CPU only; use --device cpu");
  }
  cudaDeviceProp properties{};
  cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error != cudaSuccess) return tl::unexpected(make_cuda_error(error, "asking for the device"));
  const int capability = 10 * properties.major + properties.minor;
  LLMRUN_ASSIGN(const std::optional<ProductForm> form, named_form(capability));
  error = cudaSetDevice(device);
  cudaStream_t stream = nullptr;
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error != cudaSuccess) return tl::unexpected(make_cuda_error(error, "opening the device"));
  auto backend = std::make_unique<CudaBackend>(device, found, stream, capability, form);
  LLMRUN_TRY(backend->open());
  return backend;
}

}  // namespace llmrun::kernels::cuda
