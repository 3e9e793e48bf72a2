// Uses every function of every policy. Compiled unoptimised and never linked: a test looks at the
// symbols of the object file (see "Linkage" in kernels/quant/policy.h).
#include "kernels/quant/all_types.h"

namespace llmrun::quant {
namespace {

template <typename Policy>
void use(const void* source, void* target, float* values, int8_t* q) {
  const auto& block = *static_cast<const typename Policy::Block*>(source);
  Policy::dequantize(block, values);
  Policy::quantize(values, values, *static_cast<typename Policy::Block*>(target));
  if constexpr (!Policy::kIsFloat) Policy::unpack(block, q, values, values);
}

}  // namespace

extern "C" void llmrun_linkage_probe(const void* source, void* target, float* values, int8_t* q);

extern "C" void llmrun_linkage_probe(const void* source, void* target, float* values, int8_t* q) {
#define LLMRUN_TENSOR_TYPE(type, id, name, header) use<type>(source, target, values, q);
#include "kernels/quant/types.def"
#undef LLMRUN_TENSOR_TYPE
  values[0] = float_from_e5m2(e5m2_from_float(values[1]));
  values[1] = float_from_e4m3(e4m3_from_float(values[2]));
}

}  // namespace llmrun::quant
