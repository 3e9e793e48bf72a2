// Typed, bounded access to the metadata of a model.
#include "runtime/model_metadata.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmrun::runtime {
ModelMetadata::ModelMetadata(const gguf::File& file, RopeOverride rope)
    : file_(file), rope_(std::move(rope)) {
  auto architecture = file.metadata().get<std::string>("general.architecture");
  if (!architecture) {
    status_ = tl::unexpected(std::move(architecture).error());
    return;
  }
  architecture_ = *architecture;
  name_ = file.metadata().get<std::string>("general.name").value_or("");
  read_sizes();
  if (ok()) read_heads();
  if (ok()) read_experts();
}

void ModelMetadata::read_sizes() {
  const int64_t n_blocks = required_integer("block_count", {1, kMaxLayers});
  n_draft_layers_ = integer("nextn_predict_layers", 0, {0, std::max(n_blocks - 1, int64_t{0})});
  n_layers_ = n_blocks - n_draft_layers_;
  d_model_ = required_integer("embedding_length", {1, kMaxWidth});
  context_length_ = required_integer("context_length", {1, kMaxContext});
  n_vocab_ = tensor_dim("token_embd.weight", 1);
  if (n_vocab_ == 0) n_vocab_ = tensor_dim("output.weight", 1);  // codeshell
  if (n_vocab_ < 1 || n_vocab_ > kMaxVocab) {
    fail(ErrorCode::kBadModel, fmt::format("the file has no usable token_embd.weight (a table of 1 "
                                           "to {} rows); it holds no model weights, or is damaged",
                                           kMaxVocab));
  }
}

void ModelMetadata::read_heads() {
  n_heads_ = per_layer("attention.head_count", 0, {0, kMaxHeads});
  n_kv_heads_ = has("attention.head_count_kv")
                    ? per_layer("attention.head_count_kv", 0, {0, kMaxHeads})
                    : n_heads_;
  n_ff_ = per_layer("feed_forward_length", 0, {0, kMaxWidth});
  if (!ok()) return;
  for (size_t i = 0; i < n_heads_.size(); ++i) {
    if (n_kv_heads_[i] > 0 && n_heads_[i] % n_kv_heads_[i] != 0) {
      fail(ErrorCode::kBadModel,
           fmt::format("layer {} has {} query heads, which {} key heads cannot share evenly "
                       "({}.attention.head_count, head_count_kv)",
                       i, n_heads_[i], n_kv_heads_[i], architecture_));
      return;
    }
  }
  // The first layer that has heads speaks for all (deci's may have none).
  const auto with_heads =
      std::find_if(n_heads_.begin(), n_heads_.end(), [](int64_t n) { return n > 0; });
  const int64_t heads = with_heads == n_heads_.end() ? 0 : *with_heads;
  const bool even = heads > 0 && d_model_ % heads == 0;
  if (!even && heads > 0 && !has("attention.key_length")) {
    fail(ErrorCode::kBadModel,
         fmt::format("{}.embedding_length {} is no multiple of the {} heads, and there is no "
                     "attention.key_length that gives the size of a head",
                     architecture_, d_model_, heads));
    return;
  }
  const int64_t head_dim = heads > 0 ? std::clamp(d_model_ / heads, int64_t{1}, kMaxHeadDim) : 1;
  k_dim_ = integer("attention.key_length", head_dim, {1, kMaxHeadDim});
  v_dim_ = integer("attention.value_length", head_dim, {1, kMaxHeadDim});
  rope_dims_ = integer("rope.dimension_count", k_dim_, {0, kMaxHeadDim});
}

void ModelMetadata::read_experts() {
  n_experts_ = integer("expert_count", 0, {0, kMaxExperts});
  n_used_ = per_layer("expert_used_count", 0, {0, kMaxExperts});
  if (n_experts_ == 0 || !ok()) return;
  for (const int64_t n_used : n_used_) {
    if (n_used < 1 || n_used > n_experts_) {
      fail(ErrorCode::kBadModel, fmt::format("{}.expert_used_count is {}, but must be 1 to the {} "
                                             "experts of {}.expert_count",
                                             architecture_, n_used, n_experts_, architecture_));
      return;
    }
  }
}

void ModelMetadata::fail(ErrorCode code, std::string message) {
  if (ok()) status_ = tl::unexpected(Error{code, std::move(message), file_.path()});
}

std::string ModelMetadata::full(std::string_view key) const {
  return fmt::format("{}.{}", architecture_, key);
}

bool ModelMetadata::has(std::string_view key) const { return file_.metadata().contains(full(key)); }

bool ModelMetadata::is_array(std::string_view key) const {
  const gguf::Value* const value = file_.metadata().find(full(key));
  return value != nullptr && value->is_array();
}

int64_t ModelMetadata::checked(std::string_view key, int64_t value, int64_t fallback, Range range) {
  if (value >= range.min && value <= range.max) return value;
  fail(ErrorCode::kBadModel,
       fmt::format("{} is {}, but must lie in {} to {}", full(key), value, range.min, range.max));
  return std::clamp(fallback, range.min, range.max);
}

std::optional<double> ModelMetadata::overridden(std::string_view key) const {
  double value = 0;
  if (key == "rope.scaling.factor") value = rope_.factor;
  if (key == "rope.freq_base") value = rope_.base;
  if (key == "rope.scaling.original_context_length") {
    value = static_cast<double>(rope_.original_context);
  }
  return value == 0 ? std::nullopt : std::optional(value);
}

int64_t ModelMetadata::integer(std::string_view key, int64_t fallback, Range range) {
  if (const auto value = overridden(key)) {
    return checked(key, static_cast<int64_t>(*value), fallback, range);
  }
  if (!has(key)) return fallback;
  auto value = file_.metadata().get<int64_t>(full(key));
  if (value) return checked(key, *value, fallback, range);
  fail(value.error().code, value.error().message);
  return fallback;
}

int64_t ModelMetadata::required_integer(std::string_view key, Range range) {
  auto value = file_.metadata().get<int64_t>(full(key));
  if (value) return checked(key, *value, range.min, range);
  fail(ErrorCode::kBadModel, value.error().message);
  return range.min;
}

float ModelMetadata::number(std::string_view key, float fallback) {
  if (const auto value = overridden(key)) return static_cast<float>(*value);
  return has(key) ? required_number(key) : fallback;
}

float ModelMetadata::required_number(std::string_view key) {
  auto value = file_.metadata().get<float>(full(key));
  if (value && std::isfinite(*value)) return *value;
  fail(ErrorCode::kBadModel,
       value ? fmt::format("{} is not a finite number", full(key)) : value.error().message);
  return 1.0F;
}

bool ModelMetadata::boolean(std::string_view key, bool fallback) {
  auto value = file_.metadata().get_or<bool>(full(key), fallback);
  if (value) return *value;
  fail(value.error().code, value.error().message);
  return fallback;
}

bool ModelMetadata::required_boolean(std::string_view key) {
  auto value = file_.metadata().get<bool>(full(key));
  if (value) return *value;
  fail(ErrorCode::kBadModel, value.error().message);
  return false;
}

std::string ModelMetadata::text(std::string_view key, std::string_view fallback) {
  if (key == "rope.scaling.type" && !rope_.scaling.empty()) return rope_.scaling;
  auto value = file_.metadata().get_or<std::string>(full(key), std::string(fallback));
  if (value) return *value;
  fail(value.error().code, value.error().message);
  return std::string(fallback);
}

std::vector<int64_t> ModelMetadata::per_layer(std::string_view key, int64_t fallback, Range range) {
  const auto n = static_cast<size_t>(n_layers_ + n_draft_layers_);
  std::vector<int64_t> values(n, fallback);
  if (!has(key)) return values;
  auto found = file_.metadata().get_per_layer<int64_t>(full(key), n);
  if (!found) {
    fail(found.error().code, found.error().message);
    return values;
  }
  for (size_t i = 0; i < n; ++i) values[i] = checked(key, (*found)[i], fallback, range);
  return values;
}

std::vector<float> ModelMetadata::required_numbers(std::string_view key) {
  const auto n = static_cast<size_t>(n_layers_ + n_draft_layers_);
  auto found = file_.metadata().get_per_layer<float>(full(key), n);
  const auto finite = [](float value) { return std::isfinite(value); };
  if (found && std::all_of(found->begin(), found->end(), finite)) return std::move(*found);
  fail(ErrorCode::kBadModel, found ? fmt::format("{} holds a number that is not finite", full(key))
                                   : found.error().message);
  return std::vector<float>(n, 0.0F);
}

std::vector<int64_t> ModelMetadata::integers(std::string_view key, Range range) {
  const gguf::Value* const value = file_.metadata().find(full(key));
  if (value == nullptr) return {};
  std::vector<int64_t> values;
  if (value->element_type() == gguf::ValueType::kBool) {
    auto flags = value->as_array<bool>();
    if (flags) return {flags->begin(), flags->end()};
    fail(flags.error().code, fmt::format("{}: {}", full(key), flags.error().message));
    return {};
  }
  auto numbers = value->as_array<int64_t>();
  if (!numbers) {
    fail(numbers.error().code, fmt::format("{}: {}", full(key), numbers.error().message));
    return {};
  }
  for (const int64_t number : *numbers) values.push_back(checked(key, number, range.min, range));
  return values;
}

std::vector<int64_t> ModelMetadata::flags(std::string_view key) {
  std::vector<int64_t> values = integers(key, {0, INT32_MAX});
  if (values.empty() || values.size() >= static_cast<size_t>(n_layers_)) return values;
  fail(ErrorCode::kBadModel,
       fmt::format("{} has {} flags for {} layers", full(key), values.size(), n_layers_));
  return {};
}

bool ModelMetadata::has_tensor(std::string_view name) const {
  return file_.find_tensor(name) != nullptr;
}

int64_t ModelMetadata::tensor_dim(std::string_view name, size_t i) const {
  const gguf::TensorInfo* const tensor = file_.find_tensor(name);
  return tensor == nullptr ? 0 : static_cast<int64_t>(tensor->dims[i]);
}

}  // namespace llmrun::runtime
