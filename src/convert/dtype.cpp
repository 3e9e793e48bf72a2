// The table of element types and the ways to float.
#include "convert/dtype.h"

#include <array>
#include <cstring>

#include "base/checked_math.h"
#include "kernels/quant/float_formats.h"
#include "kernels/tensor_type.h"

namespace llmrun::convert {
namespace {

template <quant::TensorType type>
void decode(const std::byte* bytes, int64_t n, float* out) {
  quant::dequantize_row(type, bytes, n, out);
}

void decode_f64(const std::byte* bytes, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    double value = 0.0;
    std::memcpy(&value, bytes + static_cast<size_t>(i) * sizeof(double), sizeof(double));
    out[i] = static_cast<float>(value);
  }
}

template <float (*convert)(uint8_t)>
void decode_byte(const std::byte* bytes, int64_t n, float* out) {
  static const auto table = [] {
    std::array<float, 256> values{};
    for (size_t i = 0; i < values.size(); ++i) values[i] = convert(static_cast<uint8_t>(i));
    return values;
  }();
  for (int64_t i = 0; i < n; ++i) out[i] = table[std::to_integer<size_t>(bytes[i])];
}

float e8m0(uint8_t bits) { return 2.0F * quant::half_float_from_e8m0(bits); }

constexpr Dtype kDtypes[] = {
    {"F64", 64, decode_f64},
    {"F32", 32, decode<quant::TensorType::F32>},
    {"F16", 16, decode<quant::TensorType::F16>},
    {"BF16", 16, decode<quant::TensorType::BF16>},
    {"F8_E4M3", 8, decode_byte<quant::float_from_e4m3>},
    {"F8_E5M2", 8, decode_byte<quant::float_from_e5m2>},
    {"F8_E8M0", 8, decode_byte<e8m0>},
    {"F4", 4, nullptr},
    {"F6_E2M3", 6, nullptr},
    {"F6_E3M2", 6, nullptr},
    {"I64", 64, nullptr},
    {"U64", 64, nullptr},
    {"I32", 32, nullptr},
    {"U32", 32, nullptr},
    {"I16", 16, nullptr},
    {"U16", 16, nullptr},
    {"I8", 8, nullptr},
    {"U8", 8, nullptr},
    {"BOOL", 8, nullptr},
    {"C64", 64, nullptr},
};

}  // namespace

const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

std::optional<uint64_t> bytes_of(const Dtype& dtype, uint64_t n_elements) {
  const auto bits = checked_mul(n_elements, dtype.bits);
  if (!bits || *bits % 8 != 0) return std::nullopt;
  return *bits / 8;
}

}  // namespace llmrun::convert
