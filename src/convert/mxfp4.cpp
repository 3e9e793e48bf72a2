// GGUF has the scale in front of each block, and value j beside value j + 16.
#include "convert/mxfp4.h"

#include <array>

#include "base/error.h"
#include "kernels/tensor_type.h"

namespace llmrun::convert {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kCodeBytes = kBlock / 2;
constexpr int64_t kPackedBytes = kCodeBytes + 1;

uint8_t code_at(const std::byte* codes, int64_t i) {
  const auto pair = std::to_integer<uint8_t>(codes[i / 2]);
  return i % 2 == 0 ? pair & 0x0FU : static_cast<uint8_t>(pair >> 4U);
}

void repack(const std::byte* codes, std::byte scale, std::byte* out) {
  out[0] = scale;
  for (int64_t i = 0; i < kCodeBytes; ++i) {
    const unsigned high = code_at(codes, i + kCodeBytes);
    out[1 + i] = static_cast<std::byte>(high << 4U | code_at(codes, i));
  }
}

bool has_shape(const SourceTensor* tensor, std::vector<int64_t> shape) {
  return tensor != nullptr && std::string_view(tensor->dtype->name) == "U8" &&
         std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end(),
                    [](int64_t a, uint64_t b) { return static_cast<uint64_t>(a) == b; });
}

}  // namespace

void add_mxfp4(Conversion& c, const std::string& from, std::string to,
               const std::vector<int64_t>& stored, const std::vector<int64_t>& shape,
               const std::function<int64_t(int64_t)>& source) {
  const int64_t n_blocks = stored[2] / kBlock;
  const SourceTensor* codes = c.take_raw(from + "_blocks");
  const SourceTensor* scales = c.take_raw(from + "_scales");
  if (stored[2] % kBlock != 0 || !has_shape(codes, {stored[0], stored[1], n_blocks, kCodeBytes}) ||
      !has_shape(scales, {stored[0], stored[1], n_blocks})) {
    return c.fail(ErrorCode::kBadModel,
                  fmt::format("{}_blocks and _scales do not have the shapes that config.json gives "
                              "this model",
                              from));
  }
  const OutputTensor::Encode encode = [=, code_bytes = codes->bytes.data(),
                                       scale_bytes = scales->bytes.data()](int64_t first, int64_t n,
                                                                           std::byte* out) {
    for (int64_t row = first; row < first + n; ++row) {
      for (int64_t b = 0; b < n_blocks; ++b, out += kPackedBytes) {
        const int64_t block = source(row) * n_blocks + b;
        repack(code_bytes + block * kCodeBytes, scale_bytes[block], out);
      }
    }
  };
  constexpr auto kType = quant::TensorType::MXFP4;
  if (c.keeps_packed()) {
    return c.add_packed(std::move(to), quant::traits(kType).gguf_id, shape, encode);
  }
  const int64_t row_bytes = n_blocks * kPackedBytes;
  c.add(std::move(to), {shape, [=](int64_t first, int64_t n, float* out) {
                          std::vector<std::byte> packed(static_cast<size_t>(n * row_bytes));
                          encode(first, n, packed.data());
                          quant::dequantize_row(kType, packed.data(), n * n_blocks * kBlock, out);
                        }});
}

}  // namespace llmrun::convert
