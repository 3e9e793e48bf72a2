// Declarations of tensors.
#include "models/common/tensors.h"

#include <fmt/format.h>

namespace llmrun::models {

using runtime::Linear;
using runtime::TensorDecl;

TensorDecl tensor(std::string name, std::vector<int64_t> shape, Presence presence) {
  TensorDecl decl;
  if (presence == Presence::kNever) return decl;
  decl.name = std::move(name);
  decl.shape = std::move(shape);
  decl.required = presence == Presence::kRequired;
  return decl;
}

std::string block(int64_t layer, std::string_view name) {
  return fmt::format("blk.{}.{}", layer, name);
}

Linear linear(const std::string& name, int64_t n_in, int64_t n_out, Presence bias,
              int64_t n_matrices) {
  Linear linear;
  linear.n_in = n_in;
  linear.n_out = n_out;
  linear.n_matrices = n_matrices;
  linear.weight = tensor(name + ".weight", {n_in, n_out, n_matrices});
  linear.bias = tensor(name + ".bias", {n_out, n_matrices}, bias);
  linear.scale = tensor(name + ".scale", {n_matrices}, Presence::kOptional);
  return linear;
}

Linear part_of(const std::string& name, int64_t n_in, int64_t n_rows, int64_t first, int64_t n_out,
               Presence bias) {
  Linear part = linear(name, n_in, n_rows, bias);
  part.n_out = n_out;
  for (TensorDecl* decl : {&part.weight, &part.bias}) {
    decl->first = first;
    decl->count = n_out;
  }
  return part;
}

}  // namespace llmrun::models
