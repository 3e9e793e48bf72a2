// What `show` says of the rotary embeddings.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "api/open_file.h"

namespace llmrun {
namespace {

using runtime::Rope;
using runtime::RopeScaling;

std::string describe(const gguf::File& file, const Rope& rope) {
  std::string text = fmt::format("{} dims, base {:.10g}", rope.n_dims, rope.base);
  if (rope.scaling == RopeScaling::kLinear && rope.factor != 1.0) {
    text += fmt::format(", linear x{:.6g}", rope.factor);
  }
  if (rope.scaling == RopeScaling::kYarn) {
    text += fmt::format(", yarn x{:.6g} from {} tokens", rope.factor, rope.original_context);
  }
  if (file.find_tensor(rope.factors_long.name) != nullptr) {
    text += fmt::format(", own factors beyond {} tokens", rope.original_context);
  }
  if (rope.section_kind != runtime::RopeSections::kNone) text += ", sections";
  return text;
}

int rope_of(const runtime::LayerSpec& layer) {
  if (const auto* mixer = std::get_if<runtime::Attention>(&layer.mixer)) return mixer->rope;
  if (const auto* mixer = std::get_if<runtime::LatentAttention>(&layer.mixer)) return mixer->rope;
  return runtime::kNoRope;
}

}  // namespace

std::string describe_ropes(const gguf::File& file, const runtime::ModelSpec& spec) {
  std::vector<std::string> kinds;  // in the order of the layers that use them
  for (const runtime::LayerSpec& layer : spec.layers) {
    const int rope = rope_of(layer);
    if (rope == runtime::kNoRope) continue;
    std::string kind = describe(file, spec.ropes[static_cast<size_t>(rope)]);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  return fmt::format("{}", fmt::join(kinds, "; "));
}

}  // namespace llmrun
