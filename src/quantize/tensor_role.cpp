// Names as the format has them: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#include "quantize/tensor_role.h"

#include <array>
#include <charconv>

namespace llmrun::quantize {
namespace {

struct NamedRole {
  std::string_view part;  // of the tensor's name
  Role role;
};
constexpr std::array kRoles = {
    NamedRole{"attn_v.weight", Role::kValue},
    NamedRole{"attn_k.weight", Role::kKey},
    NamedRole{"attn_q.weight", Role::kQuery},
    NamedRole{"attn_qkv.weight", Role::kQueryKeyValue},
    NamedRole{"attn_output.weight", Role::kAttentionOutput},
    NamedRole{"ffn_down", Role::kFfnDown},  // of dense layers, experts and shared experts
    NamedRole{"ffn_gate", Role::kFfnGateOrUp},
    NamedRole{"ffn_up", Role::kFfnGateOrUp},
};

// Parts of names of matrices that stay as they are: routers, positions, convolutions and the
// other small steering matrices of recurrent layers.
constexpr std::array<std::string_view, 15> kKept = {
    "_norm.weight",   "ffn_gate_inp",   "position_embd", "token_types",     "conv1d",
    "shortconv.conv", "time_mix_first", "time_mix_w",    "time_mix_decay",  "time_mix_lerp",
    "attn_rel_b",     "altup",          "laurel",        "per_layer_model", "patch_embd"};

}  // namespace

Role role_of(std::string_view tensor_name) {
  if (tensor_name == "output.weight") return Role::kOutput;
  if (tensor_name == "token_embd.weight" || tensor_name == "per_layer_token_embd.weight") {
    return Role::kEmbedding;
  }
  for (const NamedRole& named : kRoles) {
    if (tensor_name.find(named.part) != std::string_view::npos) return named.role;
  }
  return Role::kOther;
}

int64_t layer_of(std::string_view tensor_name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!tensor_name.starts_with(kPrefix)) return -1;
  int64_t layer = -1;
  const char* const end = tensor_name.data() + tensor_name.size();
  const auto [rest, error] = std::from_chars(tensor_name.data() + kPrefix.size(), end, layer);
  return error == std::errc() && rest != end && *rest == '.' && layer >= 0 ? layer : -1;
}

bool may_be_quantised(const gguf::TensorInfo& tensor) {
  if (tensor.n_elements == 0 || tensor.n_elements == tensor.dims[0]) return false;
  if (!tensor.name.ends_with(".weight")) return false;
  for (const std::string_view part : kKept) {
    if (tensor.name.find(part) != std::string_view::npos) return false;
  }
  return true;
}

}  // namespace llmrun::quantize
