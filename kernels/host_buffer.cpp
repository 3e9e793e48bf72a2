#include "kernels/host_buffer.h"

#include <utility>

#include "base/aligned_buffer.h"
#include "base/error.h"

namespace llmrun::kernels {
namespace {

class HostBuffer final : public Buffer {
 public:
  explicit HostBuffer(AlignedBuffer memory) : memory_(std::move(memory)) {}
  std::byte* data() override { return memory_.data(); }
  [[nodiscard]] size_t size() const override { return memory_.size(); }
  void commit() override { memory_.commit(); }

 private:
  AlignedBuffer memory_;
};

}  // namespace

Result<std::unique_ptr<Buffer>> allocate_host_buffer(size_t bytes) {
  LLMRUN_ASSIGN(AlignedBuffer memory, AlignedBuffer::allocate(bytes, AlignedBuffer::kPage));
  return std::make_unique<HostBuffer>(std::move(memory));
}

}  // namespace llmrun::kernels
