// What an architecture file sees of a GGUF file: keys under the architecture's prefix with types,
// defaults and limits, and which tensors there are.
//
// Errors stick: a getter that fails remembers the first error and returns its fallback, which is
// always a value that is safe to go on with, and build_spec() reports the error at the end. So an
// architecture file reads like a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/reader.h"
#include "llmrun/rope_override.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// What metadata may ask for. Far above any model; below what could overflow a product of three.
inline constexpr int64_t kMaxLayers = 1024;
inline constexpr int64_t kMaxWidth = int64_t{1} << 20;  // d_model, feed-forward width
inline constexpr int64_t kMaxHeads = 4096;
inline constexpr int64_t kMaxHeadDim = 8192;
inline constexpr int64_t kMaxVocab = int64_t{1} << 24;
inline constexpr int64_t kMaxExperts = 4096;
inline constexpr int64_t kMaxContext = int64_t{1} << 30;

struct Range {
  int64_t min = 0;
  int64_t max = 0;
};

class ModelMetadata {
 public:
  // Reads what every decoder has; look at status() before going on. The keys of rope answer what
  // `rope` sets.
  explicit ModelMetadata(const gguf::File& file, RopeOverride rope = {});

  [[nodiscard]] const Result<void>& status() const { return status_; }
  [[nodiscard]] bool ok() const { return status_.has_value(); }
  // Remembers the error unless there is one already.
  void fail(ErrorCode code, std::string message);

  // ---- keys: "attention.head_count" means "<architecture>.attention.head_count" ----
  [[nodiscard]] bool has(std::string_view key) const;
  int64_t integer(std::string_view key, int64_t fallback, Range range);
  int64_t required_integer(std::string_view key, Range range);
  // Finite, or it is an error.
  float number(std::string_view key, float fallback);
  float required_number(std::string_view key);
  bool boolean(std::string_view key, bool fallback);
  bool required_boolean(std::string_view key);
  std::string text(std::string_view key, std::string_view fallback);
  // One integer for all layers or one for each, as n_layers() + n_draft_layers() integers.
  std::vector<int64_t> per_layer(std::string_view key, int64_t fallback, Range range);
  // One number for all layers or one for each, which must be there; as per_layer().
  std::vector<float> required_numbers(std::string_view key);
  // An array of integers or booleans; empty when there is no such key.
  std::vector<int64_t> integers(std::string_view key, Range range);
  [[nodiscard]] bool is_array(std::string_view key) const;
  // An array with an integer or boolean for every layer; empty when there is no such key.
  std::vector<int64_t> flags(std::string_view key);

  // ---- tensors ----
  [[nodiscard]] bool has_tensor(std::string_view name) const;
  // Dimension i of a tensor, 0 when there is none.
  [[nodiscard]] int64_t tensor_dim(std::string_view name, size_t i) const;

  // ---- what every decoder has ----
  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int64_t n_layers() const { return n_layers_; }  // without draft layers
  [[nodiscard]] int64_t n_draft_layers() const { return n_draft_layers_; }
  [[nodiscard]] int64_t d_model() const { return d_model_; }
  [[nodiscard]] int64_t n_vocab() const { return n_vocab_; }
  [[nodiscard]] int64_t context_length() const { return context_length_; }
  [[nodiscard]] int64_t n_heads(int64_t layer) const { return n_heads_[index(layer)]; }
  [[nodiscard]] int64_t n_kv_heads(int64_t layer) const { return n_kv_heads_[index(layer)]; }
  [[nodiscard]] int64_t n_ff(int64_t layer) const { return n_ff_[index(layer)]; }
  [[nodiscard]] int64_t k_dim() const { return k_dim_; }  // of one head
  [[nodiscard]] int64_t v_dim() const { return v_dim_; }
  [[nodiscard]] int64_t rope_dims() const { return rope_dims_; }
  [[nodiscard]] int64_t n_experts() const { return n_experts_; }
  [[nodiscard]] int64_t n_experts_used(int64_t layer) const { return n_used_[index(layer)]; }

 private:
  // What the override says of a key; none: as the file.
  [[nodiscard]] std::optional<double> overridden(std::string_view key) const;
  static size_t index(int64_t layer) { return static_cast<size_t>(layer); }
  [[nodiscard]] std::string full(std::string_view key) const;
  int64_t checked(std::string_view key, int64_t value, int64_t fallback, Range range);
  void read_sizes();
  void read_heads();
  void read_experts();

  const gguf::File& file_;
  RopeOverride rope_;
  Result<void> status_;
  std::string architecture_, name_;
  int64_t n_layers_ = 0, n_draft_layers_ = 0, d_model_ = 0, n_vocab_ = 0, context_length_ = 0;
  int64_t k_dim_ = 0, v_dim_ = 0, rope_dims_ = 0, n_experts_ = 0;
  std::vector<int64_t> n_heads_, n_kv_heads_, n_ff_, n_used_;
};

}  // namespace llmrun::runtime
