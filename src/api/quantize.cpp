// The quantiser of the layer below, with names for types and a report for people.
#include "llmrun/quantize.h"

#include <fmt/ranges.h>

#include <cmath>

#include "api/open_file.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "quantize/quantize_file.h"

namespace llmrun {
namespace {

Result<const quantize::Mix*> parse_mix(const std::string& name) {
  if (const quantize::Mix* mix = quantize::find_mix(name)) return mix;
  std::vector<std::string_view> names;
  for (const quantize::Mix& mix : quantize::mixes()) names.push_back(mix.name);
  return make_error(ErrorCode::kUsage, "there is no type \"{}\"; there are {}", name,
                    fmt::join(names, ", "));
}

Result<std::vector<quantize::TypeOverride>> parse_overrides(const QuantizeOptions& options) {
  std::vector<quantize::TypeOverride> overrides;
  for (const auto& [pattern, name] : options.overrides) {
    const auto type = quant::tensor_type_from_name(name);
    if (!type) {
      return make_error(ErrorCode::kUsage,
                        "\"{}\" is no tensor type; a single tensor gets a plain one, such as Q6_K",
                        name);
    }
    overrides.push_back({pattern, *type});
  }
  return overrides;
}

Result<void> check_paths(const QuantizeOptions& options) {
  if (options.dry_run) return {};
  std::error_code ignored;
  if (!std::filesystem::equivalent(options.input, options.output, ignored)) return {};
  return make_error(ErrorCode::kUsage,
                    "{} is the model itself; write to another file, then replace it",
                    options.output.string());
}

QuantizedTensor describe(const quantize::PlannedTensor& planned) {
  const gguf::TensorInfo& source = *planned.source;
  QuantizedTensor tensor;
  tensor.name = source.name;
  for (uint32_t i = 0; i < source.n_dims; ++i) {
    tensor.shape.push_back(static_cast<int64_t>(source.dims[i]));
  }
  tensor.from = quant::traits(planned.from).name;
  tensor.to = quant::traits(planned.to).name;
  tensor.bytes_before = source.size_bytes;
  tensor.bytes_after = planned.bytes;
  tensor.note = planned.note;
  return tensor;
}

void add_errors(const std::vector<quantize::TensorError>& errors,
                const std::vector<quantize::PlannedTensor>& planned, Quantization& result) {
  double error = 0.0;
  double norm = 0.0;
  for (size_t i = 0; i < errors.size(); ++i) {
    result.tensors[i].relative_error = errors[i].relative();
    if (planned[i].importance != nullptr) {
      result.tensors[i].weighted_error = errors[i].weighted_relative();
    }
    error += errors[i].squared_error;
    norm += errors[i].squared_norm;
  }
  result.relative_error = norm > 0.0 ? std::sqrt(error / norm) : 0.0;
}

void add_warnings(const std::vector<quantize::PlannedTensor>& planned,
                  const quantize::PlanRequest& request, Quantization& result) {
  uint64_t n_again = 0;
  uint64_t n_without = 0;
  uint64_t n_changed = 0;
  for (const quantize::PlannedTensor& tensor : planned) {
    if (tensor.from == tensor.to) continue;
    ++n_changed;
    n_again += quant::traits(tensor.from).is_float ? 0 : 1;
    n_without += !quant::traits(tensor.to).is_float && tensor.importance == nullptr ? 1 : 0;
  }
  if (n_again > 0) {
    result.warnings.push_back(
        fmt::format("{} of {} tensors were quantised already: quantising them again loses more "
                    "than quantising the original would",
                    n_again, n_changed));
  }
  if (request.importance != nullptr && n_without > 0) {
    result.warnings.push_back(fmt::format("the importance file says nothing about {} of {} tensors",
                                          n_without, n_changed));
  }
}

Quantization describe_plan(const gguf::File& file,
                           const std::vector<quantize::PlannedTensor>& planned,
                           const quantize::PlanRequest& request) {
  Quantization result;
  result.type = request.mix->name;
  for (const quantize::PlannedTensor& tensor : planned) {
    result.tensors.push_back(describe(tensor));
    result.bytes_before += tensor.source->size_bytes;
    result.bytes_after += tensor.bytes;
    result.n_with_importance += tensor.importance != nullptr ? 1 : 0;
  }
  if (file.n_elements() > 0) {
    result.bits_per_weight =
        8.0 * static_cast<double>(result.bytes_after) / static_cast<double>(file.n_elements());
  }
  add_warnings(planned, request, result);
  return result;
}

}  // namespace

std::vector<QuantizeType> quantize_types() {
  std::vector<QuantizeType> types;
  for (const quantize::Mix& mix : quantize::mixes()) {
    types.push_back({std::string(mix.name), std::string(mix.about)});
  }
  return types;
}

Result<Quantization> quantize_model(const QuantizeOptions& options) {
  LLMRUN_TRY(check_paths(options));
  quantize::PlanRequest request;
  LLMRUN_ASSIGN(request.mix, parse_mix(options.type));
  LLMRUN_ASSIGN(request.overrides, parse_overrides(options));
  request.keep_output_f16 = options.keep_output_f16;
  std::optional<quantize::Importance> importance;
  if (!options.importance.empty()) {
    LLMRUN_ASSIGN(importance, quantize::read_importance(options.importance.string()));
    request.importance = &*importance;
  }
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(options.input));
  LLMRUN_ASSIGN(auto planned, quantize::plan_types(file, request));
  Quantization result = describe_plan(file, planned, request);
  if (options.dry_run) return result;
  quantize::FileRequest to_file;
  to_file.output = options.output.string();
  to_file.tensors = planned;
  to_file.mix = request.mix;
  to_file.importance = request.importance;
  to_file.importance_path = options.importance.filename().string();
  to_file.threads = options.threads > 0 ? options.threads : usable_physical_cores();
  to_file.progress = options.progress;
  LLMRUN_ASSIGN(const auto errors, quantize::write_quantized(file, to_file));
  add_errors(errors, planned, result);
  return result;
}

}  // namespace llmrun
