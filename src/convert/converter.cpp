// Reads the small files, lets the family declare tensors, then streams them into the file.
#include "convert/converter.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_io.h"
#include "convert/chat_templates.h"
#include "convert/encode.h"
#include "convert/families/family.h"
#include "convert/general_metadata.h"
#include "convert/pooling.h"
#include "convert/tokenizer/special_tokens.h"

namespace llmrun::convert {
namespace {

namespace fs = std::filesystem;

// Pages of the mapped weights are given back after this much output.
constexpr uint64_t kReleaseBytes = uint64_t{64} << 20;

Result<Config> read_config(const fs::path& path, bool required) {
  const std::string file = path.string();
  LLMRUN_ASSIGN(JsonDocument document, required ? read_json(file, kMaxConfigBytes)
                                                : read_json_if_there(file, kMaxConfigBytes));
  return Config(std::move(document), file);
}

// The class of the model, and how to convert it.
Result<std::string> class_of(const Config& config) {
  const auto classes = config.texts("architectures");
  LLMRUN_TRY(config.result());
  for (const std::string& name : classes) {
    if (find_family(name) != nullptr) return name;
  }
  return with_context(
      {ErrorCode::kUnsupported,
       fmt::format("models of the class {} cannot be converted; known classes are {}",
                   classes.empty() ? "(none named under \"architectures\")"
                                   : classes.front().substr(0, 128),
                   fmt::join(family_names(), ", ")),
       {}},
      config.path());
}

// The type that most bytes of the matrices have.
quant::TensorType stored_type(const Checkpoint& checkpoint) {
  uint64_t f32 = 0;
  uint64_t f16 = 0;
  uint64_t other = 0;  // BF16, and FP8, which BF16 holds
  for (const SourceTensor& tensor : checkpoint.tensors()) {
    const std::string_view name = tensor.dtype->name;
    if (tensor.dtype->to_float == nullptr) continue;
    (name == "F32" || name == "F64" ? f32 : name == "F16" ? f16 : other) += tensor.bytes.size();
  }
  if (f32 > f16 && f32 > other) return quant::TensorType::F32;
  return f16 > other ? quant::TensorType::F16 : quant::TensorType::BF16;
}

// general.file_type: the format's numbers.
uint32_t file_type_of(quant::TensorType type, bool has_mxfp4) {
  if (has_mxfp4) return 38;
  switch (type) {
    case quant::TensorType::F32:
      return 0;
    case quant::TensorType::F16:
      return 1;
    case quant::TensorType::Q8_0:
      return 7;
    default:
      return 32;  // BF16
  }
}

// One conversion from start to end.
class FolderConverter {
 public:
  explicit FolderConverter(const ConvertRequest& request)
      : request_(request), folder_(request.folder) {}

  Result<ConvertReport> run() {
    LLMRUN_ASSIGN(const Config config, read_config(folder_ / "config.json", true));
    LLMRUN_ASSIGN(report_.source_class, class_of(config));
    LLMRUN_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(request_.folder));
    report_.source_bytes = checkpoint.n_bytes();
    type_ = request_.type.value_or(stored_type(checkpoint));
    Conversion conversion(config, checkpoint, writer_, !request_.type);
    find_family(report_.source_class)(conversion);
    conversion.check_all_used();
    LLMRUN_TRY(config.result());
    LLMRUN_TRY(read_pooling(request_.folder, conversion));
    LLMRUN_TRY(config.result());
    LLMRUN_TRY(add_general(conversion));
    LLMRUN_TRY(add_tokenizer(config, conversion));
    LLMRUN_TRY(write(conversion, checkpoint));
    report_.architecture = conversion.architecture();
    report_.warnings = conversion.warnings();
    return report_;
  }

 private:
  Result<void> add_general(const Conversion& conversion) {
    bool has_mxfp4 = false;
    for (const OutputTensor& tensor : conversion.outputs()) {
      report_.n_parameters += static_cast<uint64_t>(tensor.rows.n_elements());
      has_mxfp4 = has_mxfp4 || tensor.encode != nullptr;
    }
    std::string name = request_.name;
    if (name.empty()) name = fs::absolute(folder_).lexically_normal().filename().string();
    if (name.empty()) name = fs::absolute(folder_).lexically_normal().parent_path().filename();
    writer_.add_metadata("general.type", "model");
    writer_.add_metadata("general.name", name);
    writer_.add_metadata("general.size_label", size_label(report_.n_parameters));
    writer_.add_metadata("general.file_type", file_type_of(type_, has_mxfp4));
    writer_.add_metadata("general.quantization_version", uint32_t{2});
    write_license(request_.folder, writer_);
    LLMRUN_ASSIGN(const Config generation, read_config(folder_ / "generation_config.json", false));
    return write_sampling(generation, writer_);
  }

  Result<void> add_tokenizer(const Config& config, Conversion& conversion) {
    const std::string path = (folder_ / "tokenizer.json").string();
    LLMRUN_ASSIGN(const JsonDocument tokenizer, read_json_if_there(path, kMaxTokenizerBytes));
    if (tokenizer == nullptr) {
      return with_context({ErrorCode::kNotFound,
                           "the folder has no tokenizer.json; make one with "
                           "AutoTokenizer.from_pretrained(…).save_pretrained(…)",
                           {}},
                          request_.folder);
    }
    LLMRUN_ASSIGN(Config tokenizer_config, read_config(folder_ / "tokenizer_config.json", false));
    LLMRUN_ASSIGN(Config special_map, read_config(folder_ / "special_tokens_map.json", false));
    LLMRUN_ASSIGN(Config generation, read_config(folder_ / "generation_config.json", false));
    const TokenizerOptions options{.n_tokens = embedding_rows(conversion),
                                   .pre = request_.pre_tokenizer};
    auto vocabulary = read_tokenizer(*tokenizer, options);
    if (!vocabulary) return with_context(std::move(vocabulary).error(), path);
    LLMRUN_TRY(read_special_tokens(*tokenizer, {tokenizer_config, special_map, config, generation},
                                   *vocabulary));
    write_vocabulary(*vocabulary, writer_);
    report_.tokenizer = vocabulary->pre.empty()
                            ? vocabulary->model
                            : fmt::format("{} ({})", vocabulary->model, vocabulary->pre);
    return write_chat_templates(request_.folder, writer_);
  }

  static int64_t embedding_rows(const Conversion& conversion) {
    for (const OutputTensor& tensor : conversion.outputs()) {
      if (tensor.name == "token_embd.weight") return tensor.rows.n_rows();
    }
    return 0;
  }

  Result<void> write(const Conversion& conversion, const Checkpoint& checkpoint) {
    const auto& outputs = conversion.outputs();
    for (const OutputTensor& tensor : outputs) {
      const uint64_t n_bytes = bytes_of(tensor, type_);
      report_.output_bytes += n_bytes;
      const auto type = quant::tensor_type_from_gguf_id(gguf_type_of(tensor, type_));
      if (type) report_.bytes_by_type[std::string(quant::traits(*type).name)] += n_bytes;
    }
    report_.n_tensors = outputs.size();
    ThreadPool pool(request_.threads);
    uint64_t done = 0;
    uint64_t released = 0;
    EncodeContext context;
    context.pool = &pool;
    context.wrote = [&](uint64_t n_bytes) -> Result<void> {
      done += n_bytes;
      if (done - released >= kReleaseBytes) {
        checkpoint.release_pages();
        released = done;
      }
      if (request_.progress && !request_.progress(done, report_.output_bytes)) {
        return make_error(ErrorCode::kInterrupted, "stopped; nothing was written");
      }
      return {};
    };
    LLMRUN_TRY(context.wrote(0));
    for (const OutputTensor& tensor : outputs) declare_tensor(writer_, tensor, type_, context);
    return writer_.write(request_.output);
  }

  const ConvertRequest& request_;
  const fs::path folder_;
  quant::TensorType type_ = quant::TensorType::F32;
  gguf::Writer writer_;
  ConvertReport report_;
};

}  // namespace

Result<ConvertReport> convert_folder(const ConvertRequest& request) {
  return FolderConverter(request).run();
}

}  // namespace llmrun::convert
