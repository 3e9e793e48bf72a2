// Shapes of real models: what decides how long they take, without their weights.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmrun::synthetic {

struct Shape {
  std::string_view name;
  std::string_view architecture;  // of the GGUF file
  int64_t n_layers, d_model, d_ffn, n_heads, n_kv_heads, head_dim, n_vocab;
  bool tied;                                  // the embedding table is the output too
  bool qkv_bias;                              // Qwen2
  bool qk_norm;                               // Qwen3
  int64_t n_experts = 0, n_experts_used = 0;  // of d_ffn values each
};

std::span<const Shape> shapes();
// Null: no such shape.
const Shape* find_shape(std::string_view name);

struct TensorShape {
  std::string name;
  std::vector<uint64_t> dims;  // dims[0] is the row length
  int64_t layer = -1;
};
// Every tensor of a model of that shape; vectors have one dimension.
std::vector<TensorShape> tensors_of(const Shape& shape);

}  // namespace llmrun::synthetic
