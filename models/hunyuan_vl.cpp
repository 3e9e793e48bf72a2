// Hunyuan, dense, with and without vision: queries and keys are normalised after the rotation.
#include <cmath>

#include "models/common.h"

namespace llmrun::models {
namespace {

// The base that stretches the slowest pair by alpha ("dynamic NTK" with a fixed alpha).
double stretched_base(ModelMetadata& m) {
  const double base = static_cast<double>(m.number("rope.freq_base", 10000.0F));
  const double alpha = static_cast<double>(m.number("rope.scaling.alpha", 0.0F));
  const auto d = static_cast<double>(m.k_dim());
  return alpha > 0.0 && d > 2.0 ? base * std::pow(alpha, d / (d - 2.0)) : base;
}

}  // namespace

ModelSpec build_hunyuan_vl(ModelMetadata& m) {
  RopeOptions rope = sectioned_rope(m);
  rope.split_halves = true;
  rope.base = stretched_base(m);
  return plain_decoder(m, rms_norm(m),
                       {.rope = rope, .attention = {.qk_norm = QkNorm::kHeadAfterRope}});
}

}  // namespace llmrun::models
