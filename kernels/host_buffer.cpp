#include "kernels/host_buffer.h"

#include <sys/mman.h>

#include "base/error.h"

namespace llmrun::kernels {
namespace {

// Pages straight from the system: zero already, touched only when used, given back when freed.
class HostBuffer final : public Buffer {
 public:
  HostBuffer(void* memory, size_t bytes) : memory_(memory), bytes_(bytes) {}
  ~HostBuffer() override {
    if (memory_ != nullptr) munmap(memory_, bytes_);
  }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  std::byte* data() override { return static_cast<std::byte*>(memory_); }
  [[nodiscard]] size_t size() const override { return bytes_; }

 private:
  void* memory_;
  size_t bytes_;
};

}  // namespace

Result<std::unique_ptr<Buffer>> allocate_host_buffer(size_t bytes) {
  void* memory = nullptr;
  if (bytes > 0) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return make_error(ErrorCode::kOutOfMemory,
                        "the system has no {} bytes of memory left; use a smaller context "
                        "(--ctx) or a smaller model",
                        bytes);
    }
  }
  return std::make_unique<HostBuffer>(memory, bytes);
}

}  // namespace llmrun::kernels
