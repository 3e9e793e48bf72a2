// LoRA adapters (Hu et al. 2021): each changes products of a model, y += scale * B (A x). They are
// applied as the model runs, so its weights stay as they lie in their file, and adapters can be
// combined. The tensors come from GGUF files whose general.type is "adapter".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "gguf/reader.h"
#include "kernels/backend.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// A file, and how much of it is applied. The file must outlive the model.
struct AdapterFile {
  const gguf::File* file = nullptr;
  float scale = 1.0F;
};

// What one adapter adds to one product.
struct LowRank {
  kernels::Weight a;  // [rank, n_in], or a stack of them; of an embedding: [n_vocab, rank]
  kernels::Weight b;  // [n_out, rank]
  float scale = 1.0F;

  [[nodiscard]] uint64_t bytes() const;
};

class Adapters {
 public:
  // `spec` is bound: its tensors have slots, whose devices are given too. kBadModel names a tensor
  // that the model has not or that has another shape; kUnsupported one that cannot be changed at
  // run time. Until prepare() all lies in main memory.
  static Result<Adapters> bind(std::span<const AdapterFile> files, const ModelSpec& spec,
                               std::span<const uint8_t> slot_devices);
  // What a device (a place in Placement::devices) has of it, in the order in which prepare() takes
  // it there.
  [[nodiscard]] std::vector<size_t> sizes_on(size_t device) const;
  Result<void> prepare(size_t device, kernels::Backend& backend);
  // Gives back copies in main memory that devices have made their own of.
  void drop_unused();

  [[nodiscard]] bool any() const { return !products_.empty(); }
  // Of a product with that weight, in the order of the files.
  [[nodiscard]] std::span<const LowRank> of(const TensorDecl& weight) const {
    return find(products_, weight);
  }
  // Of the rows that are looked up in it.
  [[nodiscard]] std::span<const LowRank> of_rows(const TensorDecl& table) const {
    return find(rows_, table);
  }

  [[nodiscard]] uint64_t mapped_bytes() const { return mapped_bytes_; }
  [[nodiscard]] uint64_t converted_bytes() const;
  [[nodiscard]] int64_t max_rank() const { return max_rank_; }

 private:
  friend class AdapterBinder;
  using BySlot = std::vector<std::vector<LowRank>>;

  static std::span<const LowRank> find(const BySlot& terms, const TensorDecl& tensor) {
    const auto slot = static_cast<size_t>(tensor.slot);
    return tensor.slot >= 0 && slot < terms.size() ? terms[slot] : std::span<const LowRank>();
  }

  // visit(matrix) for those of a device.
  template <typename Self, typename Visit>
  static void for_each_on(Self& self, size_t device, const Visit& visit);

  BySlot products_, rows_;
  std::vector<uint8_t> slot_devices_;
  std::vector<std::unique_ptr<kernels::Buffer>> converted_;
  uint64_t mapped_bytes_ = 0;
  int64_t max_rank_ = 0;
};

}  // namespace llmrun::runtime
