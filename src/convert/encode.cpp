// Pulls rows through a float buffer per task into one output buffer, then to the file.
#include "convert/encode.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "gguf/type_sizes.h"

namespace llmrun::convert {
namespace {

constexpr int64_t kChunkBytes = int64_t{8} << 20;  // of output handed to the file at once
constexpr int64_t kTaskValues = int64_t{1} << 17;  // floats one task works on
constexpr float kLargestF16 = 65504.0F;

enum class Trouble : uint8_t { kNone, kNotFinite, kTooLarge };

// What these values would lose in this type.
Trouble trouble_of(const std::vector<float>& values, quant::TensorType type) {
  const bool is_float = quant::traits(type).is_float;
  if (is_float && type != quant::TensorType::F16) return Trouble::kNone;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      if (!is_float) return Trouble::kNotFinite;
    } else if (is_float && std::abs(value) > kLargestF16) {
      return Trouble::kTooLarge;
    }
  }
  return Trouble::kNone;
}

Result<void> check(Trouble trouble, const std::string& name) {
  if (trouble == Trouble::kNotFinite) {
    return make_error(ErrorCode::kBadModel,
                      "tensor '{}' holds infinities or NaN, which only float types can store; the "
                      "weights are damaged, or need --type bf16",
                      name);
  }
  if (trouble == Trouble::kTooLarge) {
    return make_error(ErrorCode::kUsage,
                      "tensor '{}' holds values beyond {}, the largest F16; use --type bf16 or f32",
                      name, kLargestF16);
  }
  return {};
}

// One tensor's way to the file.
class Emitter {
 public:
  Emitter(const OutputTensor& tensor, quant::TensorType type, uint64_t row_bytes,
          const EncodeContext& context)
      : tensor_(tensor),
        type_(type),
        row_bytes_(static_cast<int64_t>(row_bytes)),
        context_(context) {}

  Result<void> emit(const gguf::Writer::Sink& sink) {
    const int64_t n_rows = tensor_.rows.n_rows();
    const int64_t per_chunk = std::max(int64_t{1}, kChunkBytes / row_bytes_);
    std::vector<std::byte> bytes;
    for (int64_t first = 0; first < n_rows; first += per_chunk) {
      const int64_t n = std::min(per_chunk, n_rows - first);
      bytes.resize(static_cast<size_t>(n * row_bytes_));
      LLMRUN_TRY(encode(first, n, bytes.data()));
      LLMRUN_TRY(sink(bytes));
      LLMRUN_TRY(context_.wrote(bytes.size()));
    }
    return {};
  }

 private:
  Result<void> encode(int64_t first, int64_t n, std::byte* out) {
    const int64_t per_task = std::max(int64_t{1}, kTaskValues / tensor_.rows.width());
    const int64_t n_tasks = (n + per_task - 1) / per_task;
    std::atomic<Trouble> trouble{Trouble::kNone};
    context_.pool->parallel_for(n_tasks, [&](int64_t task) {
      const int64_t begin = task * per_task;
      const int64_t count = std::min(per_task, n - begin);
      std::byte* const to = out + begin * row_bytes_;
      if (tensor_.encode) return tensor_.encode(first + begin, count, to);
      const Trouble found = encode_floats(first + begin, count, to);
      if (found != Trouble::kNone) trouble.store(found, std::memory_order_relaxed);
    });
    return check(trouble.load(), tensor_.name);
  }

  Trouble encode_floats(int64_t first, int64_t n, std::byte* to) const {
    std::vector<float> values(static_cast<size_t>(n * tensor_.rows.width()));
    tensor_.rows.read(first, n, values.data());
    const Trouble trouble = trouble_of(values, type_);
    if (trouble == Trouble::kNone) {
      quant::quantize_row(type_, values.data(), static_cast<int64_t>(values.size()), to);
    }
    return trouble;
  }

  const OutputTensor& tensor_;
  const quant::TensorType type_;
  const int64_t row_bytes_;
  const EncodeContext& context_;
};

std::vector<uint64_t> gguf_dims(const Rows& rows) {
  return {rows.shape.rbegin(), rows.shape.rend()};
}

}  // namespace

quant::TensorType type_for(const OutputTensor& tensor, quant::TensorType wanted) {
  if (tensor.precision == Precision::kFloat32) return quant::TensorType::F32;
  const bool whole_blocks = tensor.rows.width() % quant::traits(wanted).block_size == 0;
  return whole_blocks ? wanted : quant::TensorType::F16;
}

uint32_t gguf_type_of(const OutputTensor& tensor, quant::TensorType wanted) {
  return tensor.encode ? tensor.packed_type : quant::traits(type_for(tensor, wanted)).gguf_id;
}

uint64_t bytes_of(const OutputTensor& tensor, quant::TensorType wanted) {
  const gguf::TypeSize* size = gguf::find_type_size(gguf_type_of(tensor, wanted));
  return gguf::bytes_of(*size, static_cast<uint64_t>(tensor.rows.n_elements())).value_or(0);
}

void declare_tensor(gguf::Writer& writer, const OutputTensor& tensor, quant::TensorType wanted,
                    const EncodeContext& context) {
  const uint64_t n_rows = static_cast<uint64_t>(tensor.rows.n_rows());
  const uint64_t row_bytes = bytes_of(tensor, wanted) / n_rows;
  writer.add_tensor(tensor.name, gguf_type_of(tensor, wanted), gguf_dims(tensor.rows),
                    [&tensor, &context, row_bytes,
                     type = type_for(tensor, wanted)](const gguf::Writer::Sink& sink) {
                      return Emitter(tensor, type, row_bytes, context).emit(sink);
                    });
}

}  // namespace llmrun::convert
