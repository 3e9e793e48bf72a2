// Book-keeping of a conversion.
#include "convert/conversion.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "gguf/limits.h"

namespace llmrun::convert {
namespace {

// Stands for a tensor that could not be taken; it is never read, because the mistake is remembered.
Rows nothing() {
  return {{1, 1}, [](int64_t, int64_t n, float* out) { std::fill_n(out, n, 0.0F); }};
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

void Conversion::set_architecture(std::string name) {
  architecture_ = std::move(name);
  writer_.add_metadata("general.architecture", architecture_);
}

bool Conversion::has(std::string_view name) const {
  return checkpoint_.find(full(name)) != nullptr;
}

const SourceTensor* Conversion::take_raw(std::string_view name) {
  const SourceTensor* tensor = checkpoint_.find(full(name));
  if (tensor == nullptr) {
    fail(ErrorCode::kBadModel,
         fmt::format("tensor '{}' is missing from the weights; the folder is incomplete, or is no "
                     "plain {} model (adapters are not read: merge them first)",
                     full(name), architecture_));
    return nullptr;
  }
  use(tensor->name);
  if (tensor->n_elements > 0) return tensor;
  fail(ErrorCode::kBadModel, fmt::format("tensor '{}' is empty", tensor->name));
  return nullptr;
}

Rows Conversion::take(std::string_view name) {
  const SourceTensor* tensor = take_raw(name);
  if (tensor == nullptr) return nothing();
  if (tensor->dtype->to_float == nullptr) {
    fail(ErrorCode::kUnsupported,
         fmt::format("tensor '{}' is {}: weights quantised in this way are not read; convert the "
                     "original model and quantise with llmrun",
                     tensor->name, tensor->dtype->name));
    return nothing();
  }
  return with_block_scales(name, rows_of(*tensor));
}

// FP8 checkpoints store a factor per block of the matrix beside the weight.
Rows Conversion::with_block_scales(std::string_view name, Rows rows) {
  const std::string scale_name = std::string(name) + "_scale_inv";
  if (!has(scale_name)) return rows;
  const SourceTensor* scale = take_raw(scale_name);
  const auto blocks =
      config_.section("quantization_config").integers("weight_block_size", {1, kMaxWidth});
  if (scale == nullptr || blocks.size() != 2 || rows.shape.size() != 2 ||
      scale->dtype->to_float == nullptr || scale->shape.size() != 2 ||
      static_cast<int64_t>(scale->shape[0]) != (rows.n_rows() + blocks[0] - 1) / blocks[0] ||
      static_cast<int64_t>(scale->shape[1]) != (rows.width() + blocks[1] - 1) / blocks[1]) {
    fail(ErrorCode::kBadModel, fmt::format("tensor '{}' does not fit the blocks of its weight "
                                           "(quantization_config.weight_block_size)",
                                           scale_name));
    return nothing();
  }
  const auto n_columns = static_cast<int64_t>(scale->shape[1]);
  auto values = std::make_shared<std::vector<float>>(scale->n_elements);
  scale->dtype->to_float(scale->bytes.data(), static_cast<int64_t>(scale->n_elements),
                         values->data());
  return scaled(std::move(rows), [values, n_columns, blocks](int64_t row, int64_t column) {
    return (*values)[static_cast<size_t>(row / blocks[0] * n_columns + column / blocks[1])];
  });
}

Rows Conversion::take(std::string_view name, const std::vector<int64_t>& shape) {
  Rows rows = take(name);
  if (!ok() || rows.shape == shape) return rows;
  fail(
      ErrorCode::kBadModel,
      fmt::format("tensor '{}' has the shape {}, where config.json makes it {}; the weights belong "
                  "to another model",
                  full(name), shape_text(rows.shape), shape_text(shape)));
  return nothing();
}

void Conversion::drop_endings(std::initializer_list<std::string_view> endings) {
  for (const SourceTensor& tensor : checkpoint_.tensors()) {
    for (const std::string_view ending : endings) {
      if (std::string_view(tensor.name).ends_with(ending)) use(tensor.name);
    }
  }
}

void Conversion::drop_beginnings(std::initializer_list<std::string_view> beginnings) {
  for (const SourceTensor& tensor : checkpoint_.tensors()) {
    for (const std::string_view beginning : beginnings) {
      if (std::string_view(tensor.name).starts_with(beginning)) use(tensor.name);
    }
  }
}

void Conversion::add(std::string name, Rows rows, Precision precision) {
  if (rows.shape.size() > gguf::kMaxDimensions) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("tensor '{}' has {} dimensions, GGUF knows at most {}", name,
                            rows.shape.size(), gguf::kMaxDimensions));
  }
  if (rows.n_elements() < 1) {
    return fail(ErrorCode::kBadModel, fmt::format("tensor '{}' would be empty", name));
  }
  // A vector is a norm or a bias.
  if (rows.shape.size() == 1) precision = Precision::kFloat32;
  outputs_.push_back({std::move(name), precision, std::move(rows), 0, nullptr});
}

void Conversion::add_packed(std::string name, uint32_t type, std::vector<int64_t> shape,
                            OutputTensor::Encode encode) {
  outputs_.push_back(
      {std::move(name), Precision::kWanted, {std::move(shape), nullptr}, type, std::move(encode)});
}

void Conversion::rename(std::string_view from, std::string_view to, Precision precision) {
  add(fmt::format("{}.weight", to), take(fmt::format("{}.weight", from)), precision);
  const std::string bias = fmt::format("{}.bias", from);
  if (has(bias)) add(fmt::format("{}.bias", to), take(bias));
}

void Conversion::rename_if_there(std::string_view from, std::string_view to, Precision precision) {
  if (has(fmt::format("{}.weight", from))) rename(from, to, precision);
}

void Conversion::check_all_used() const {
  size_t n_left = 0;
  std::string first;
  for (const SourceTensor& tensor : checkpoint_.tensors()) {
    if (used_.contains(tensor.name)) continue;
    if (n_left++ == 0) first = tensor.name;
  }
  if (n_left == 0) return;
  fail(
      ErrorCode::kUnsupported,
      fmt::format("{} tensors of the checkpoint have no place in {} (the first is '{}'): the model "
                  "is a variant that this version cannot convert",
                  n_left, architecture_, first));
}

}  // namespace llmrun::convert
