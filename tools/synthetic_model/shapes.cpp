// The shapes by name, and the tensors that models of their architectures have.
#include "shapes.h"

#include <fmt/format.h>

namespace llmrun::synthetic {
namespace {

constexpr Shape kShapes[] = {
    {"qwen2-1.5b", "qwen2", 28, 1536, 8960, 12, 2, 128, 151936, true, true, false},
    {"llama-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, true, false, false},
    {"llama-7b", "llama", 32, 4096, 11008, 32, 32, 128, 32000, false, false, false},
    {"mistral-7b", "llama", 32, 4096, 14336, 32, 8, 128, 32768, false, false, false},
    {"tiny", "llama", 2, 256, 512, 4, 2, 64, 512, false, false, false},
    {"tiny-moe", "qwen3moe", 2, 256, 256, 4, 2, 64, 512, false, false, true, 8, 2},
    // Six of the 48 layers of Qwen3-30B-A3B.
    {"qwen3-moe-6", "qwen3moe", 6, 2048, 768, 32, 4, 128, 32000, false, false, true, 128, 8},
};

uint64_t size(int64_t n) { return static_cast<uint64_t>(n); }

}  // namespace

std::span<const Shape> shapes() { return kShapes; }

const Shape* find_shape(std::string_view name) {
  for (const Shape& shape : kShapes) {
    if (shape.name == name) return &shape;
  }
  return nullptr;
}

std::vector<TensorShape> tensors_of(const Shape& s) {
  const uint64_t d = size(s.d_model), ffn = size(s.d_ffn), vocab = size(s.n_vocab);
  const uint64_t queries = size(s.n_heads * s.head_dim), keys = size(s.n_kv_heads * s.head_dim);
  std::vector<TensorShape> tensors = {{"token_embd.weight", {d, vocab}},
                                      {"output_norm.weight", {d}}};
  if (!s.tied) tensors.push_back({"output.weight", {d, vocab}});
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const auto add = [&](std::string_view name, std::vector<uint64_t> dims) {
      tensors.push_back({fmt::format("blk.{}.{}", layer, name), std::move(dims), layer});
    };
    add("attn_norm.weight", {d});
    add("attn_q.weight", {d, queries});
    add("attn_k.weight", {d, keys});
    add("attn_v.weight", {d, keys});
    if (s.qkv_bias) {
      add("attn_q.bias", {queries});
      add("attn_k.bias", {keys});
      add("attn_v.bias", {keys});
    }
    if (s.qk_norm) {
      add("attn_q_norm.weight", {size(s.head_dim)});
      add("attn_k_norm.weight", {size(s.head_dim)});
    }
    add("attn_output.weight", {queries, d});
    add("ffn_norm.weight", {d});
    if (s.n_experts > 0) {
      const uint64_t experts = size(s.n_experts);
      add("ffn_gate_inp.weight", {d, experts});
      add("ffn_gate_exps.weight", {d, ffn, experts});
      add("ffn_up_exps.weight", {d, ffn, experts});
      add("ffn_down_exps.weight", {ffn, d, experts});
    } else {
      add("ffn_gate.weight", {d, ffn});
      add("ffn_up.weight", {d, ffn});
      add("ffn_down.weight", {ffn, d});
    }
  }
  return tensors;
}

}  // namespace llmrun::synthetic
