// Writes a GGUF file of a real model's shape with random weights, to measure speed and memory on:
//   synthetic_model OUT.gguf SHAPE MIX [VOCABULARY.gguf]
// MIX is a name of `llmrun quantize` ("Q4_K_M", "Q8_0", ...) or of a tensor type. The tokenizer is
// copied from VOCABULARY.gguf; without it the model takes ids only. A few rows of each length are
// drawn and quantised, then used again and again in a random order: writing a file takes seconds,
// and kernels do not look at the values.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <random>

#include "base/error.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "kernels/tensor_type.h"
#include "quantize/mix.h"
#include "quantize/tensor_role.h"
#include "shapes.h"

namespace llmrun::synthetic {
namespace {

using quant::TensorType;

constexpr uint64_t kDrawnRows = 64;

// A mix, or one type for every matrix.
struct Types {
  const quantize::Mix* mix = nullptr;
  TensorType type = TensorType::F32;
};

Result<Types> find_types(std::string_view name) {
  if (const quantize::Mix* mix = quantize::find_mix(name)) return Types{.mix = mix};
  if (const auto type = quant::tensor_type_from_name(name)) return Types{.type = *type};
  return make_error(ErrorCode::kUsage, "\"{}\" is no mix and no tensor type", name);
}

TensorType type_of(const TensorShape& tensor, const Shape& shape, const Types& types) {
  if (tensor.dims.size() == 1 || tensor.name.find("gate_inp") != std::string::npos) {
    return TensorType::F32;
  }
  TensorType wanted = types.type;
  if (types.mix != nullptr) {
    quantize::TensorContext context;
    context.role = quantize::role_of(tensor.name);
    if (shape.tied && context.role == quantize::Role::kEmbedding) {
      context.role = quantize::Role::kOutput;
    }
    context.layer = tensor.layer;
    context.n_layers = shape.n_layers;
    context.is_stack = tensor.dims.size() > 2;
    context.many_queries = shape.n_heads / shape.n_kv_heads >= 4;
    context.n_experts = shape.n_experts;
    wanted = quantize::choose_type(*types.mix, context);
  }
  return quantize::fitting_type(wanted, tensor.dims[0]);
}

// Quantised rows of one type and length.
class Rows {
 public:
  Rows(TensorType type, uint64_t length, double deviation)
      : row_bytes_(quant::row_bytes(type, static_cast<int64_t>(length)).value()) {
    std::mt19937 engine(static_cast<uint32_t>(length));
    std::normal_distribution<float> normal(0.0F, static_cast<float>(deviation));
    bytes_.resize(kDrawnRows * row_bytes_);
    std::vector<float> row(length);
    for (uint64_t i = 0; i < kDrawnRows; ++i) {
      for (float& value : row) value = normal(engine);
      quant::quantize_row(type, row.data(), static_cast<int64_t>(length),
                          bytes_.data() + i * row_bytes_);
    }
  }

  Result<void> emit(uint64_t n_rows, const gguf::Writer::Sink& sink) const {
    std::mt19937 engine(1);
    for (uint64_t row = 0; row < n_rows; ++row) {
      const uint64_t drawn = engine() % kDrawnRows;
      LLMRUN_TRY(sink(std::span(bytes_).subspan(drawn * row_bytes_, row_bytes_)));
    }
    return {};
  }

 private:
  size_t row_bytes_;
  std::vector<std::byte> bytes_;
};

Result<void> emit_vector(std::string_view name, uint64_t length, const gguf::Writer::Sink& sink) {
  const std::vector<float> values(length, name.ends_with("bias") ? 0.0F : 1.0F);
  return sink(std::as_bytes(std::span(values)));
}

void add_hyperparameters(const Shape& s, gguf::Writer& writer) {
  const std::string prefix(s.architecture);
  const auto add = [&](std::string_view key, auto value) {
    writer.add_metadata(prefix + "." + std::string(key), value);
  };
  const auto number = [](int64_t n) { return static_cast<uint32_t>(n); };
  writer.add_metadata("general.architecture", prefix);
  writer.add_metadata("general.name", fmt::format("random weights, shape {}", s.name));
  add("context_length", uint32_t{32768});
  add("block_count", number(s.n_layers));
  add("embedding_length", number(s.d_model));
  add("feed_forward_length", number(s.d_ffn));
  add("attention.head_count", number(s.n_heads));
  add("attention.head_count_kv", number(s.n_kv_heads));
  add("attention.key_length", number(s.head_dim));
  add("attention.value_length", number(s.head_dim));
  add("attention.layer_norm_rms_epsilon", 1e-6F);
  add("rope.freq_base", s.architecture == "llama" ? 5e5F : 1e6F);
  add("rope.dimension_count", number(s.head_dim));
  add("vocab_size", number(s.n_vocab));
  if (s.n_experts > 0) {
    add("expert_count", number(s.n_experts));
    add("expert_used_count", number(s.n_experts_used));
    add("expert_feed_forward_length", number(s.d_ffn));
  }
}

// The vocabulary decides the size of the embedding table, whatever the shape says.
Result<void> add_tokenizer(const gguf::File& file, Shape& shape, gguf::Writer& writer) {
  for (const auto& [key, value] : file.metadata().entries()) {
    if (!key.starts_with("tokenizer.")) continue;
    writer.add_metadata(key, value);
    if (key == "tokenizer.ggml.tokens") shape.n_vocab = static_cast<int64_t>(value.size());
  }
  return {};
}

Result<void> write_model(const std::string& path, Shape shape, const Types& types,
                         const std::optional<gguf::File>& vocabulary) {
  gguf::Writer writer;
  if (vocabulary) {
    LLMRUN_TRY(add_tokenizer(*vocabulary, shape, writer));
  } else {
    writer.add_metadata("tokenizer.ggml.model", "none");
  }
  add_hyperparameters(shape, writer);
  std::map<std::pair<TensorType, uint64_t>, Rows> drawn;
  for (const TensorShape& tensor : tensors_of(shape)) {
    const TensorType type = type_of(tensor, shape, types);
    const uint32_t id = quant::traits(type).gguf_id;
    const uint64_t length = tensor.dims[0];
    if (tensor.dims.size() == 1) {
      writer.add_tensor(tensor.name, id, tensor.dims,
                        [name = tensor.name, length](const gguf::Writer::Sink& sink) {
                          return emit_vector(name, length, sink);
                        });
      continue;
    }
    const auto [rows, is_new] = drawn.try_emplace({type, length}, type, length,
                                                  1.0 / std::sqrt(static_cast<double>(length)));
    uint64_t n_rows = 1;
    for (size_t i = 1; i < tensor.dims.size(); ++i) n_rows *= tensor.dims[i];
    writer.add_tensor(tensor.name, id, tensor.dims,
                      [&rows = rows->second, n_rows](const gguf::Writer::Sink& sink) {
                        return rows.emit(n_rows, sink);
                      });
  }
  return writer.write(path);
}

Result<void> run(std::span<char*> arguments) {
  if (arguments.size() < 4 || arguments.size() > 5) {
    std::string names;
    for (const Shape& shape : shapes()) names += fmt::format(" {}", shape.name);
    return make_error(ErrorCode::kUsage,
                      "usage: synthetic_model OUT.gguf SHAPE MIX [VOCABULARY.gguf]\nshapes:{}",
                      names);
  }
  const Shape* shape = find_shape(arguments[2]);
  if (shape == nullptr) return make_error(ErrorCode::kUsage, "no shape \"{}\"", arguments[2]);
  LLMRUN_ASSIGN(const Types types, find_types(arguments[3]));
  std::optional<gguf::File> vocabulary;
  if (arguments.size() == 5) {
    LLMRUN_ASSIGN(vocabulary, gguf::File::open(arguments[4]));
  }
  return write_model(arguments[1], *shape, types, vocabulary);
}

}  // namespace
}  // namespace llmrun::synthetic

int main(int argc, char** argv) {
  const auto result = llmrun::synthetic::run({argv, static_cast<size_t>(argc)});
  if (result) return 0;
  fmt::print(stderr, "{}\n", result.error().message);
  return 1;
}
