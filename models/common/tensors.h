// Declares tensors by their GGUF names, with the shapes the metadata ask for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/model_metadata.h"
#include "runtime/spec.h"

namespace llmrun::models {

using runtime::Activation;
using runtime::LayerSpec;
using runtime::ModelMetadata;
using runtime::ModelSpec;
using runtime::Norm;
using runtime::RouterKind;

inline constexpr runtime::Range kWidths{0, runtime::kMaxWidth};
inline constexpr runtime::Range kExpertCounts{0, runtime::kMaxExperts};
// Multipliers of which 0 means "none".
inline float one_if_zero(float scale) { return scale == 0.0F ? 1.0F : scale; }

// kNever: the model has no such tensor, and ignores one that is in the file.
enum class Presence : uint8_t { kNever, kOptional, kRequired };

runtime::TensorDecl tensor(std::string name, std::vector<int64_t> shape,
                           Presence presence = Presence::kRequired);
// "blk.3.attn_q"
std::string block(int64_t layer, std::string_view name);
// name.weight, name.bias and (NVFP4 files) name.scale; n_matrices > 1: a stack.
runtime::Linear linear(const std::string& name, int64_t n_in, int64_t n_out,
                       Presence bias = Presence::kNever, int64_t n_matrices = 1);
// Rows [first, first + n_out) of a fused tensor of n_rows rows.
runtime::Linear part_of(const std::string& name, int64_t n_in, int64_t n_rows, int64_t first,
                        int64_t n_out, Presence bias = Presence::kNever);

}  // namespace llmrun::models
