// Binding: tensors of the spec to tensors of the file, with every shape checked once.
#include "runtime/weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

#include "base/error.h"
#include "gguf/type_sizes.h"
#include "kernels/host_buffer.h"
#include "runtime/layer_tensors.h"

namespace llmrun::runtime {
namespace {

// The dimensions without the ones at the end, which files may leave out.
template <typename T>
std::vector<int64_t> significant(const T* dims, size_t n) {
  while (n > 1 && dims[n - 1] == 1) --n;
  std::vector<int64_t> shape;
  for (size_t i = 0; i < n; ++i) shape.push_back(static_cast<int64_t>(dims[i]));
  return shape;
}

Result<void> check_shape(const gguf::TensorInfo& found, const TensorDecl& wanted) {
  const auto in_file = significant(found.dims.data(), found.n_dims);
  const auto in_spec = significant(wanted.shape.data(), wanted.shape.size());
  if (in_file == in_spec) return {};
  return make_error(ErrorCode::kBadModel,
                    "tensor {} has the shape [{}] where the metadata ask for [{}]; the file is "
                    "damaged or was converted for another architecture",
                    wanted.name, fmt::join(in_file, ", "), fmt::join(in_spec, ", "));
}

// A part of a fused tensor must lie in it.
Result<void> check_part(const TensorDecl& wanted, int64_t n_rows) {
  if (wanted.count == 0 || wanted.first + wanted.count <= n_rows) return {};
  return make_error(
      ErrorCode::kBadModel,
      "tensor {} has {} rows, and the metadata ask for its rows {} to {}; the numbers "
      "of heads or their sizes are wrong",
      wanted.name, n_rows, wanted.first, wanted.first + wanted.count - 1);
}

Result<void> missing(const TensorDecl& wanted) {
  return make_error(ErrorCode::kBadModel,
                    "tensor {} of shape [{}] is missing; the file is incomplete or was converted "
                    "for another architecture",
                    wanted.name, fmt::join(wanted.shape, ", "));
}

int64_t dim(const std::vector<int64_t>& shape, size_t i) { return i < shape.size() ? shape[i] : 1; }

}  // namespace

Result<Weights> Weights::bind(const gguf::File& file, const Placement& placement, ModelSpec& spec) {
  Weights weights;
  using Key = std::tuple<std::string, int64_t, int64_t, int64_t, int64_t, bool, size_t>;
  std::map<Key, int32_t> bound;
  std::unordered_set<std::string> counted;
  Result<void> status;
  for_each_layer_tensor(spec, [&](TensorDecl& wanted, const TensorUse& place) {
    if (!status) return;
    const gguf::TensorInfo* const found = file.find_tensor(wanted.name);
    if (found == nullptr) {
      if (wanted.required) status = missing(wanted);
      return;
    }
    // What devices share, each has.
    const size_t device =
        place.of_experts ? placement.of_experts(place.layer) : placement.of(place.layer);
    const Key key{wanted.name,     wanted.first,    wanted.count, wanted.first_value,
                  wanted.n_values, place.is_matrix, device};
    if (const auto it = bound.find(key); it != bound.end()) {
      wanted.slot = it->second;
      return;
    }
    Result<int32_t> slot =
        weights.bind_tensor(*found, wanted, place.is_matrix, *placement.devices[device]);
    if (!slot) {
      status = with_context(std::move(slot).error(), file.path());
      return;
    }
    wanted.slot = *slot;
    weights.slot_devices_.push_back(static_cast<uint8_t>(device));
    bound.emplace(key, *slot);
    if (counted.insert(wanted.name).second) weights.mapped_bytes_ += found->size_bytes;
  });
  if (!status) return tl::unexpected(std::move(status).error());
  for (const kernels::Weight& weight : weights.bound_) weights.on_host_.push_back(weight.data);
  return weights;
}

Result<int32_t> Weights::bind_tensor(const gguf::TensorInfo& found, const TensorDecl& wanted,
                                     bool is_matrix, kernels::Backend& backend) {
  LLMRUN_TRY(check_shape(found, wanted));
  const std::vector<int64_t> shape = significant(wanted.shape.data(), wanted.shape.size());
  LLMRUN_TRY(check_part(wanted, is_matrix ? dim(wanted.shape, 1) : shape.back()));
  const auto type = quant::tensor_type_from_gguf_id(found.type);
  if (!type) {
    return make_error(ErrorCode::kUnsupported,
                      "tensor {} is of the type {} ({}), which this build "
                      "cannot use; convert the model to another type",
                      wanted.name, found.type, gguf::type_name(found.type));
  }
  if (!is_matrix) return bind_vector(found, wanted, *type, backend);
  LLMRUN_ASSIGN(const WeightCut cut, cut_of(found, wanted, *type));
  kernels::Weight weight;
  weight.type = *type;
  weight.n_in = wanted.n_values > 0 ? wanted.n_values : dim(wanted.shape, 0);
  weight.n_out = cut.n_rows;
  weight.n_matrices = cut.n_matrices;
  weight.row_bytes = cut.row_bytes;
  const auto slot = static_cast<int32_t>(bound_.size());
  if (cut.contiguous()) {
    weight.data = cut.data;
  } else {
    cuts_.emplace(static_cast<size_t>(slot), cut);
  }
  bound_.push_back(weight);
  return slot;
}

// Vectors are one row of float32.
Result<int32_t> Weights::bind_vector(const gguf::TensorInfo& found, const TensorDecl& wanted,
                                     quant::TensorType type, kernels::Backend& backend) {
  const std::vector<int64_t> shape = significant(wanted.shape.data(), wanted.shape.size());
  int64_t row = 1;  // elements per step of the last dimension
  for (size_t i = 0; i + 1 < shape.size(); ++i) row *= shape[i];
  const int64_t n_rows = wanted.count > 0 ? wanted.count : shape.back();
  const bool cut = wanted.n_values > 0;
  kernels::Weight weight;
  weight.type = type;
  weight.n_out = 1;
  weight.n_in = cut ? wanted.n_values * n_rows : row * n_rows;
  weight.data = found.bytes.data();
  if (wanted.first > 0) {
    LLMRUN_ASSIGN(const size_t skipped, quant::row_bytes(type, wanted.first * row));
    weight.data += skipped;
  }
  const bool aligned = reinterpret_cast<uintptr_t>(weight.data) % alignof(float) == 0;
  if (type == quant::TensorType::F32 && aligned && !cut) {
    LLMRUN_ASSIGN(weight.row_bytes, quant::row_bytes(type, weight.n_in));
  } else {
    LLMRUN_TRY(quant::row_bytes(type, row * n_rows));
    std::vector<float> all(static_cast<size_t>(row * n_rows));
    quant::dequantize_row(type, weight.data, row * n_rows, all.data());
    LLMRUN_ASSIGN(auto buffer,
                  backend.allocate_shared(static_cast<size_t>(weight.n_in) * sizeof(float)));
    auto* to = reinterpret_cast<float*>(buffer->data());
    const int64_t width = cut ? wanted.n_values : row;
    for (int64_t i = 0; i < n_rows; ++i) {
      to = std::copy_n(all.data() + i * row + wanted.first_value, width, to);
    }
    weight.type = quant::TensorType::F32;
    weight.data = buffer->data();
    weight.row_bytes = buffer->size();
    converted_bytes_ += buffer->size();
    converted_.push_back(std::move(buffer));
  }
  bound_.push_back(weight);
  return static_cast<int32_t>(bound_.size() - 1);
}

Result<void> Weights::prepare(const Placement& placement) {
  for (size_t device = 0; device < placement.devices.size(); ++device) {
    kernels::Backend& backend = *placement.devices[device];
    std::vector<size_t> sizes;
    for (size_t i = 0; i < bound_.size(); ++i) {
      if (slot_devices_[i] == device) sizes.push_back(bytes_of(bound_[i]));
    }
    const std::vector<size_t> more = adapters_.sizes_on(device);
    sizes.insert(sizes.end(), more.begin(), more.end());
    LLMRUN_TRY(backend.reserve_weights(sizes));
    for (size_t i = 0; i < bound_.size(); ++i) {
      if (slot_devices_[i] != device) continue;
      if (const auto cut = cuts_.find(i); cut != cuts_.end()) {
        LLMRUN_TRY(prepare_cut(cut->second, bound_[i], backend));
      } else {
        LLMRUN_ASSIGN(bound_[i], backend.prepare(bound_[i]));
      }
    }
    LLMRUN_TRY(adapters_.prepare(device, backend));
    LLMRUN_TRY(backend.finish());
  }
  adapters_.drop_unused();
  return {};
}

// The copy is kept by devices that use weights where they are.
Result<void> Weights::prepare_cut(const WeightCut& cut, kernels::Weight& weight,
                                  kernels::Backend& backend) {
  LLMRUN_ASSIGN(auto copy, kernels::allocate_host_buffer(cut.bytes()));
  cut.copy_to(copy->data());
  weight.data = copy->data();
  LLMRUN_ASSIGN(weight, backend.prepare(weight));
  if (weight.data == copy->data()) converted_.push_back(std::move(copy));
  return {};
}

uint64_t Weights::device_bytes(size_t device) const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < bound_.size(); ++i) {
    if (slot_devices_[i] == device) bytes += bytes_of(bound_[i]);
  }
  return bytes;
}

std::vector<std::string> unused_tensors(const gguf::File& file, const ModelSpec& spec) {
  std::unordered_set<std::string> declared;
  ModelSpec copy = spec;
  for_each_tensor(copy, [&](TensorDecl& tensor, bool) { declared.insert(tensor.name); });
  std::vector<std::string> unused;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    std::string name(tensor.name);
    if (!declared.contains(name)) unused.push_back(std::move(name));
  }
  return unused;
}

}  // namespace llmrun::runtime
