// Consistency of a spec: ropes that fit their heads, numbers that are in the domain of the ops.
#include "runtime/spec_check.h"

#include <cmath>

#include "base/error.h"

namespace llmrun::runtime {
namespace {

Result<void> check_rope(const Rope& rope) {
  const bool numbers = std::isfinite(rope.base) && rope.base > 1.0 && std::isfinite(rope.factor) &&
                       rope.factor > 0.0 && std::isfinite(rope.magnitude);
  const bool yarn = rope.scaling != RopeScaling::kYarn ||
                    (rope.original_context > 0 && rope.beta_fast > 0.0 && rope.beta_slow > 0.0);
  if (numbers && yarn && rope.n_dims >= 0 && rope.n_dims % 2 == 0) return {};
  return make_error(ErrorCode::kBadModel,
                    "the rotary embedding makes no sense: {} dims, base {}, scaling factor {}, "
                    "original context {}",
                    rope.n_dims, rope.base, rope.factor, rope.original_context);
}

Result<void> check_rope_fits(const ModelSpec& spec, size_t layer, int rope, int64_t dims) {
  if (rope == kNoRope || spec.ropes[static_cast<size_t>(rope)].n_dims <= dims) return {};
  return make_error(ErrorCode::kBadModel,
                    "layer {} rotates {} dims of heads that have {} (rope.dimension_count)", layer,
                    spec.ropes[static_cast<size_t>(rope)].n_dims, dims);
}

Result<void> check_eps(const std::optional<Norm>& norm, size_t layer) {
  if (!norm || norm->eps >= 0.0F) return {};
  return make_error(ErrorCode::kBadModel, "a norm of layer {} has the negative epsilon {}", layer,
                    norm->eps);
}

// The rows of the output are the logits of the last tokens, of all of them but for qwen3tts.
Result<void> check_head(const ModelSpec& spec) {
  if (!spec.head.output.declared()) return {};  // an encoder
  const int64_t n_rows = spec.head.output.n_out;
  if (spec.head.first_token >= 0 && spec.head.first_token + n_rows == spec.n_vocab) return {};
  return make_error(ErrorCode::kBadModel, "the output has {} rows from token {} on, of {} tokens",
                    n_rows, spec.head.first_token, spec.n_vocab);
}

// What the ops demand of a delta net's heads.
Result<void> check_delta(const DeltaNet& mixer, size_t layer) {
  if (mixer.k_dim <= kernels::kMaxDeltaKeyDim && mixer.length_eps >= 0.0F) return {};
  return make_error(ErrorCode::kBadModel,
                    "the delta net of layer {} has keys of {} dims (at most {} are possible) and "
                    "an epsilon of {}",
                    layer, mixer.k_dim, kernels::kMaxDeltaKeyDim, mixer.length_eps);
}

}  // namespace

Result<void> check_spec(const ModelSpec& spec) {
  for (const Rope& rope : spec.ropes) LLMRUN_TRY(check_rope(rope));
  LLMRUN_TRY(check_head(spec));
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    if (const auto* mixer = std::get_if<Attention>(&layer.mixer)) {
      LLMRUN_TRY(check_rope_fits(spec, i, mixer->rope, mixer->k_dim));
    }
    if (const auto* mixer = std::get_if<LatentAttention>(&layer.mixer)) {
      LLMRUN_TRY(check_rope_fits(spec, i, mixer->rope, mixer->rope_dim));
    }
    if (const auto* mixer = std::get_if<DeltaNet>(&layer.mixer)) {
      LLMRUN_TRY(check_delta(*mixer, i));
    }
    if (layer.mixer_mix) LLMRUN_TRY(check_eps(layer.mixer_mix->norm, i));
    LLMRUN_TRY(check_eps(layer.mixer_norm, i));
    LLMRUN_TRY(check_eps(layer.ffn_norm, i));
  }
  return check_eps(spec.head.norm, spec.layers.size());
}

}  // namespace llmrun::runtime
