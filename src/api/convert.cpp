// The conversion of the layer below, and a look at what came out.
#include "llmrun/convert.h"

#include <algorithm>
#include <array>
#include <thread>

#include "api/open_file.h"
#include "base/error.h"
#include "convert/converter.h"
#include "models/registry.h"

namespace llmrun {
namespace {

constexpr std::array kTypes = {quant::TensorType::F32, quant::TensorType::F16,
                               quant::TensorType::BF16, quant::TensorType::Q8_0};

Result<std::optional<quant::TensorType>> parse_type(const std::string& name) {
  if (name.empty()) return std::optional<quant::TensorType>();
  const auto type = quant::tensor_type_from_name(name);
  if (type && std::find(kTypes.begin(), kTypes.end(), *type) != kTypes.end()) return type;
  return make_error(ErrorCode::kUsage,
                    "A model is converted to f32, f16, bf16 or q8_0, not to \"{}\"; the smaller "
                    "types are made of the result with llmrun quantize.",
                    name);
}

// Whether the file that was written is one that this build runs.
void look_at_result(const std::filesystem::path& path, Conversion& report) {
  const auto file = open_gguf(path);
  if (!file) {
    report.why_not = file.error().message;
    return;
  }
  report.output_bytes = file->size_bytes();
  const auto spec = models::build_spec(*file);
  report.runnable = spec.has_value();
  if (!spec) report.why_not = spec.error().message;
}

}  // namespace

Result<Conversion> convert_model(const ConvertOptions& options) {
  convert::ConvertRequest request;
  request.folder = options.folder.string();
  request.output = options.output.string();
  LLMRUN_ASSIGN(request.type, parse_type(options.type));
  request.pre_tokenizer = options.pre_tokenizer;
  request.name = options.name;
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  request.threads = options.threads > 0 ? options.threads : std::clamp(cores, 1, 16);
  request.progress = options.progress;
  LLMRUN_ASSIGN(const convert::ConvertReport report, convert::convert_folder(request));
  Conversion result;
  result.architecture = report.architecture;
  result.source_class = report.source_class;
  result.tokenizer = report.tokenizer;
  result.n_tensors = report.n_tensors;
  result.n_parameters = report.n_parameters;
  result.source_bytes = report.source_bytes;
  result.bytes_by_type = report.bytes_by_type;
  result.warnings = report.warnings;
  look_at_result(options.output, result);
  return result;
}

}  // namespace llmrun
