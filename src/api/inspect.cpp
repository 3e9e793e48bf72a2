// What a model file holds, as plain data; one tensor decoded.
#include <algorithm>
#include <map>

#include "api/open_file.h"
#include "base/error.h"
#include "gguf/type_sizes.h"
#include "kernels/tensor_type.h"
#include "llmrun/embedder.h"
#include "llmrun/model_info.h"
#include "models/registry.h"

namespace llmrun {
namespace {

constexpr size_t kMaxShownText = 2000;  // bytes of one metadata value

std::string text_or_empty(const gguf::Metadata& metadata, std::string_view key) {
  return metadata.get_or<std::string>(key, std::string()).value_or(std::string());
}

int64_t integer_or_zero(const gguf::Metadata& metadata, const std::string& key) {
  return metadata.get_or<int64_t>(key, 0).value_or(0);
}

std::vector<int64_t> shape_of(const gguf::TensorInfo& tensor) {
  std::vector<int64_t> shape;
  for (uint32_t i = 0; i < tensor.n_dims; ++i)
    shape.push_back(static_cast<int64_t>(tensor.dims[i]));
  return shape;
}

void describe_tensors(const gguf::File& file, ModelInfo& info) {
  std::map<std::string, uint64_t> bytes_by_type;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    std::string type(gguf::type_name(tensor.type));
    bytes_by_type[type] += tensor.size_bytes;
    info.tensors.push_back(
        {std::string(tensor.name), std::move(type), shape_of(tensor), tensor.size_bytes});
  }
  const auto total = static_cast<double>(file.tensor_bytes());
  for (const auto& [type, bytes] : bytes_by_type) {
    info.quantisation_mix.emplace_back(type, total > 0 ? static_cast<double>(bytes) / total : 0);
  }
  std::stable_sort(info.quantisation_mix.begin(), info.quantisation_mix.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  info.n_parameters = file.n_elements();
  if (info.n_parameters > 0)
    info.bits_per_weight = 8 * total / static_cast<double>(info.n_parameters);
}

void describe_metadata(const gguf::Metadata& metadata, ModelInfo& info) {
  for (const gguf::Metadata::Entry& entry : metadata.entries()) {
    std::string shown;
    if (const auto text = entry.value.as<std::string_view>()) {
      shown = text->substr(0, kMaxShownText);
      if (text->size() > kMaxShownText) shown += "…";
    } else {
      shown = entry.value.to_display();
    }
    info.metadata.emplace_back(entry.key, std::move(shown));
  }
}

std::string template_source(const gguf::File& file, const std::string& own) {
  if (!own.empty()) return "model";
  const auto choice = choose_template(file, {}, false);
  return choice ? choice->origin : "none";
}

std::string describe_tokenizer(const gguf::Metadata& metadata) {
  const std::string model = text_or_empty(metadata, "tokenizer.ggml.model");
  if (model.empty() || model == "none" || model == "test" || model == "no_vocab") return "none";
  const std::string pre = text_or_empty(metadata, "tokenizer.ggml.pre");
  return pre.empty() ? model : fmt::format("{} ({})", model, pre);
}

}  // namespace

ModelInfo describe_file(const gguf::File& file, const std::filesystem::path& path,
                        const runtime::ModelSpec* spec, const std::string& why_not) {
  const gguf::Metadata& metadata = file.metadata();
  ModelInfo info;
  info.path = path;
  info.name = text_or_empty(metadata, "general.name");
  info.architecture = text_or_empty(metadata, "general.architecture");
  info.runnable = spec != nullptr;
  info.why_not = why_not;
  info.file_bytes = file.size_bytes();
  info.n_files = static_cast<int>(file.n_parts());
  info.context_length = integer_or_zero(metadata, info.architecture + ".context_length");
  info.embedding_length = integer_or_zero(metadata, info.architecture + ".embedding_length");
  info.vocabulary_size = integer_or_zero(metadata, info.architecture + ".vocab_size");
  if (const gguf::Value* tokens = metadata.find("tokenizer.ggml.tokens")) {
    info.vocabulary_size = static_cast<int64_t>(tokens->size());
  }
  info.tokenizer = describe_tokenizer(metadata);
  info.chat_template = text_or_empty(metadata, "tokenizer.chat_template");
  info.template_source = template_source(file, info.chat_template);
  info.license = text_or_empty(metadata, "general.license");
  describe_tensors(file, info);
  describe_metadata(metadata, info);
  if (spec != nullptr) {
    info.layers = describe_layers(file, *spec);
    info.rope = describe_ropes(file, *spec);
    info.vocabulary_size = spec->n_vocab;
    info.writes_text = spec->causal && spec->head.output.declared();
    if (spec->embedding_head.pooling) info.pooling = to_string(*spec->embedding_head.pooling);
  }
  return info;
}

Result<ModelInfo> inspect_model(const std::filesystem::path& path, const RopeOverride& rope) {
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(path));
  const auto spec = models::build_spec(file, rope);
  if (!spec && rope.any()) return with_context(spec.error(), path.string());
  if (!spec) return describe_file(file, path, nullptr, spec.error().message);
  return describe_file(file, path, &*spec, {});
}

Result<DecodedTensor> decode_tensor(const std::filesystem::path& path, const std::string& name) {
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(path));
  LLMRUN_ASSIGN(const gguf::TensorInfo* tensor, file.tensor(name));
  const auto type = quant::tensor_type_from_gguf_id(tensor->type);
  if (!type) {
    return make_error(ErrorCode::kUnsupported,
                      "The tensor {} has the type {} (number {}), which this build cannot decode.",
                      name, gguf::type_name(tensor->type), tensor->type);
  }
  DecodedTensor decoded;
  decoded.shape = shape_of(*tensor);
  std::reverse(decoded.shape.begin(), decoded.shape.end());
  const auto n = static_cast<int64_t>(tensor->n_elements);
  LLMRUN_ASSIGN(const size_t bytes, quant::row_bytes(*type, n));
  if (bytes != tensor->size_bytes) {
    return make_error(ErrorCode::kBadModel, "The tensor {} has {} bytes where its shape needs {}.",
                      name, tensor->size_bytes, bytes);
  }
  decoded.values.resize(static_cast<size_t>(n));
  quant::dequantize_row(*type, tensor->bytes.data(), n, decoded.values.data());
  return decoded;
}

}  // namespace llmrun
