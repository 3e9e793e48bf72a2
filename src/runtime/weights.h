// The spec meets the file: every declared tensor is looked up, its shape is checked, and it is
// bound to the device of its layer. Past this point no file byte is parsed and no tensor type
// switched on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/reader.h"
#include "kernels/backend.h"
#include "runtime/adapters.h"
#include "runtime/placement.h"
#include "runtime/spec.h"
#include "runtime/weight_cut.h"

namespace llmrun::runtime {

// For planning alone nothing goes to a device, and of weights nothing is copied.
enum class LoadFor : uint8_t { kRunning, kPlanning };

class Weights {
 public:
  [[nodiscard]] static bool has(const TensorDecl& tensor) { return tensor.slot >= 0; }
  // Only for a matrix that has().
  [[nodiscard]] const kernels::Weight& matrix(const TensorDecl& tensor) const {
    return bound_[static_cast<size_t>(tensor.slot)];
  }
  // Null when the file has no such tensor.
  [[nodiscard]] const float* vector(const TensorDecl& tensor) const {
    return has(tensor)
               ? reinterpret_cast<const float*>(bound_[static_cast<size_t>(tensor.slot)].data)
               : nullptr;
  }

  // The same values for the host. Valid while the model is loaded.
  [[nodiscard]] const float* host_vector(const TensorDecl& tensor) const {
    return has(tensor) ? reinterpret_cast<const float*>(on_host_[static_cast<size_t>(tensor.slot)])
                       : nullptr;
  }

  // Bytes of the file that the model reads where they lie, and bytes of vectors that had to be
  // converted to float32 because the file stores them in another type.
  [[nodiscard]] uint64_t mapped_bytes() const { return mapped_bytes_; }
  [[nodiscard]] uint64_t converted_bytes() const { return converted_bytes_; }

  // Of the weights, what lies on a device; of the one that reads the file where it lies, too.
  [[nodiscard]] uint64_t device_bytes(size_t device) const;
  [[nodiscard]] size_t n_tensors() const { return bound_.size(); }
  // The device of each slot, as a place in Placement::devices.
  [[nodiscard]] std::span<const uint8_t> slot_devices() const { return slot_devices_; }

  // What adapters add to the products; the blocks ask for it after each of them.
  [[nodiscard]] const Adapters& adapters() const { return adapters_; }
  void adapt(Adapters adapters) { adapters_ = std::move(adapters); }

  // Sets the slots of the spec's tensors.
  static Result<Weights> bind(const gguf::File& file, const Placement& placement, ModelSpec& spec);
  // Takes the bound tensors, and the adapters, to their devices. Without it they only have sizes.
  Result<void> prepare(const Placement& placement);

 private:
  Result<int32_t> bind_tensor(const gguf::TensorInfo& found, const TensorDecl& wanted,
                              bool is_matrix, kernels::Backend& backend);
  Result<int32_t> bind_vector(const gguf::TensorInfo& found, const TensorDecl& wanted,
                              quant::TensorType type, kernels::Backend& backend);

  Result<void> prepare_cut(const WeightCut& cut, kernels::Weight& weight,
                           kernels::Backend& backend);

  std::vector<kernels::Weight> bound_;
  std::map<size_t, WeightCut> cuts_;       // of the slots whose bytes have to be copied together
  std::vector<uint8_t> slot_devices_;      // of the bound tensors
  std::vector<const std::byte*> on_host_;  // where the bound tensors lie in main memory
  std::vector<std::unique_ptr<kernels::Buffer>> converted_;
  uint64_t mapped_bytes_ = 0;
  uint64_t converted_bytes_ = 0;
  Adapters adapters_;
};

// Names of the tensors of the file that the spec does not declare (for `show`).
std::vector<std::string> unused_tensors(const gguf::File& file, const ModelSpec& spec);

}  // namespace llmrun::runtime
