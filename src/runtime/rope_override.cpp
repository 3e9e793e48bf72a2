// Checks overrides of the rotary embedding: an option without effect is an error.
#include "runtime/rope_override.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmrun::runtime {
namespace {

constexpr double kMaxFactor = 1e6;
constexpr double kMaxBase = 1e30;  // well inside float32
constexpr int64_t kMaxOriginalContext = int64_t{1} << 30;

bool rotates(const ModelSpec& spec) {
  return std::any_of(spec.layers.begin(), spec.layers.end(), [](const LayerSpec& layer) {
    if (const auto* a = std::get_if<Attention>(&layer.mixer)) return a->rope != kNoRope;
    if (const auto* a = std::get_if<LatentAttention>(&layer.mixer)) return a->rope != kNoRope;
    return false;
  });
}

bool reads_original_context(const ModelSpec& spec) {
  const bool by_rope = std::any_of(spec.ropes.begin(), spec.ropes.end(), [](const Rope& rope) {
    return rope.scaling == RopeScaling::kYarn || rope.factors_long.declared();
  });
  return by_rope || std::any_of(spec.layers.begin(), spec.layers.end(), [](const LayerSpec& l) {
           const auto* a = std::get_if<Attention>(&l.mixer);
           return a != nullptr && a->temperature.scale != 0.0F;
         });
}

Result<void> check_scaling(const ModelSpec& spec, const RopeOverride& rope) {
  const bool wanted = rope.scaling == "linear" || rope.scaling == "yarn" || rope.factor != 0;
  const auto scaled = [](const Rope& r) {
    return r.scaling != RopeScaling::kNone && r.factor != 1.0;
  };
  if (!wanted || rope.factor == 1.0) return {};
  if (std::any_of(spec.ropes.begin(), spec.ropes.end(), scaled)) return {};
  return make_error(ErrorCode::kUsage, "the rope scaling has no effect: {}",
                    rope.factor == 0
                        ? "neither the options nor the model give a factor"
                        : "the model's metadata turn scaling off; ask for linear or yarn");
}

}  // namespace

Result<void> check_override(const RopeOverride& rope) {
  const bool known = rope.scaling.empty() || rope.scaling == "none" || rope.scaling == "linear" ||
                     rope.scaling == "yarn";
  if (!known) {
    return make_error(ErrorCode::kUsage,
                      "the rope scaling cannot be '{}'; it is none, linear or "
                      "yarn",
                      rope.scaling.substr(0, 64));
  }
  const auto in = [](double value, double low, double high) {
    return value == 0 || (std::isfinite(value) && value >= low && value <= high);
  };
  if (!in(rope.factor, 1e-3, kMaxFactor)) {
    return make_error(ErrorCode::kUsage, "the rope factor is {}, but must lie in 0.001 to {}",
                      rope.factor, kMaxFactor);
  }
  if (!in(rope.base, 1.001, kMaxBase)) {
    return make_error(ErrorCode::kUsage, "the rope base is {}, but must lie in 1.001 to {}",
                      rope.base, kMaxBase);
  }
  if (rope.original_context < 0 || rope.original_context > kMaxOriginalContext) {
    return make_error(ErrorCode::kUsage, "the original context is {}, but must lie in 1 to {}",
                      rope.original_context, kMaxOriginalContext);
  }
  if (rope.scaling == "none" && rope.factor != 0) {
    return make_error(ErrorCode::kUsage,
                      "a rope factor has no effect with the rope scaling none; leave one out");
  }
  return {};
}

Result<void> check_followed(const ModelSpec& spec, const RopeOverride& rope) {
  if (!rope.any()) return {};
  if (!rotates(spec)) {
    return make_error(ErrorCode::kUsage,
                      "models of the architecture {} have no rotary embedding that could be "
                      "changed; leave the rope options out",
                      spec.architecture);
  }
  LLMRUN_TRY(check_scaling(spec, rope));
  const auto has_base = [&](const Rope& r) {
    return static_cast<float>(r.base) == static_cast<float>(rope.base);
  };
  if (rope.base != 0 && std::none_of(spec.ropes.begin(), spec.ropes.end(), has_base)) {
    return make_error(ErrorCode::kUsage,
                      "the rope base has no effect: models of the architecture {} have a fixed one",
                      spec.architecture);
  }
  if (rope.original_context != 0 && !reads_original_context(spec)) {
    return make_error(
        ErrorCode::kUsage,
        "the original context has no effect: only yarn and models with long and short "
        "rope factors read it");
  }
  return {};
}

}  // namespace llmrun::runtime
