// The tables behind tensor_type.h, made from types.def and the policies.
#include "kernels/tensor_type.h"

#include <array>
#include <limits>

#include "base/error.h"
#include "kernels/quant/all_types.h"

namespace llmrun::quant {
namespace {

using DequantizeRow = void (*)(const std::byte* bytes, int64_t n_blocks, float* out);
using QuantizeRow = void (*)(const float* in, const float* weights, int64_t n_blocks,
                             std::byte* bytes);

template <typename Policy>
void dequantize_blocks(const std::byte* bytes, int64_t n_blocks, float* out) {
  const auto* blocks = reinterpret_cast<const typename Policy::Block*>(bytes);
  for (int64_t b = 0; b < n_blocks; ++b)
    Policy::dequantize(blocks[b], out + b * Policy::kBlockSize);
}

constexpr std::array<float, kSuperBlock> kEqualWeights = [] {
  std::array<float, kSuperBlock> ones{};
  for (float& one : ones) one = 1.0F;
  return ones;
}();

template <typename Policy>
void quantize_blocks(const float* in, const float* weights, int64_t n_blocks, std::byte* bytes) {
  static_assert(Policy::kBlockSize <= kSuperBlock);
  auto* blocks = reinterpret_cast<typename Policy::Block*>(bytes);
  for (int64_t b = 0; b < n_blocks; ++b) {
    const int64_t first = b * Policy::kBlockSize;
    Policy::quantize(in + first, weights == nullptr ? kEqualWeights.data() : weights + first,
                     blocks[b]);
  }
}

template <typename Policy>
constexpr TensorTypeTraits make_traits(std::string_view name, uint32_t id) {
  static_assert(alignof(typename Policy::Block) == 1, "files give no alignment");
  TensorTypeTraits result;
  result.name = name;
  result.gguf_id = id;
  result.block_size = Policy::kBlockSize;
  result.block_bytes = sizeof(typename Policy::Block);
  result.is_float = Policy::kIsFloat;
  if constexpr (!Policy::kIsFloat) {
    static_assert(Policy::kGroupSize == 16 || Policy::kGroupSize == 32);
    static_assert(Policy::kBlockSize % Policy::kGroupSize == 0);
    result.group_size = Policy::kGroupSize;
    result.has_offset = Policy::kHasOffset;
  }
  return result;
}

struct Entry {
  TensorTypeTraits traits;
  DequantizeRow dequantize;
  QuantizeRow quantize;
};

constexpr Entry kEntries[] = {
#define LLMRUN_TENSOR_TYPE(type, id, name, header) \
  {make_traits<type>(name, id), dequantize_blocks<type>, quantize_blocks<type>},
#include "kernels/quant/types.def"
#undef LLMRUN_TENSOR_TYPE
};
#define LLMRUN_TENSOR_TYPE(type, id, name, header) \
  static_assert(type::kType == TensorType::type, "a policy names the wrong type");
#include "kernels/quant/types.def"
#undef LLMRUN_TENSOR_TYPE

const Entry& entry_of(TensorType type) { return kEntries[static_cast<size_t>(type)]; }

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (upper(a[i]) != upper(b[i])) return false;
  }
  return true;
}

}  // namespace

const TensorTypeTraits& traits(TensorType type) { return entry_of(type).traits; }

std::optional<TensorType> tensor_type_from_gguf_id(uint32_t id) {
  for (size_t i = 0; i < kTensorTypeCount; ++i) {
    if (kEntries[i].traits.gguf_id == id) return static_cast<TensorType>(i);
  }
  return std::nullopt;
}

std::optional<TensorType> tensor_type_from_name(std::string_view name) {
  for (size_t i = 0; i < kTensorTypeCount; ++i) {
    if (equal_ignoring_case(kEntries[i].traits.name, name)) return static_cast<TensorType>(i);
  }
  return std::nullopt;
}

Result<size_t> row_bytes(TensorType type, int64_t n_elements) {
  const TensorTypeTraits& t = traits(type);
  if (n_elements < 0 || n_elements % t.block_size != 0) {
    return make_error(ErrorCode::kBadModel,
                      "{} values cannot be stored as {}, whose blocks hold {} values each; the "
                      "file is damaged or was written by a faulty program",
                      n_elements, t.name, t.block_size);
  }
  const auto n_blocks = static_cast<uint64_t>(n_elements / t.block_size);
  // Half of the address space, so that pointer differences stay valid.
  constexpr uint64_t kLimit = static_cast<uint64_t>(std::numeric_limits<ptrdiff_t>::max());
  if (n_blocks > kLimit / t.block_bytes) {
    return make_error(ErrorCode::kBadModel, "{} values of type {} need more bytes than a file has",
                      n_elements, t.name);
  }
  return static_cast<size_t>(n_blocks) * t.block_bytes;
}

void dequantize_row(TensorType type, const std::byte* bytes, int64_t n_elements, float* out) {
  const Entry& entry = entry_of(type);
  entry.dequantize(bytes, n_elements / entry.traits.block_size, out);
}

void quantize_row(TensorType type, const float* in, int64_t n_elements, std::byte* bytes,
                  const float* weights) {
  const Entry& entry = entry_of(type);
  entry.quantize(in, weights, n_elements / entry.traits.block_size, bytes);
}

}  // namespace llmrun::quant
