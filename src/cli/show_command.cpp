// `llmrun show`: what a model file holds, read from its directory; no weights are loaded.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/npy.h"
#include "base/terminal.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/model_header.h"
#include "cli/model_texts.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "llmrun/model_info.h"

#include <unistd.h>

namespace llmrun::cli {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t dimension : shape) {
    text += fmt::format("{}{}", text.empty() ? "" : " x ", dimension);
  }
  return text.empty() ? "scalar" : text;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string mix_text(const ModelInfo& info) {
  std::string text;
  for (const auto& [type, share] : info.quantisation_mix) {
    text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", type, 100 * share);
  }
  return fmt::format("{} ({:.2f} bits per weight)", text, info.bits_per_weight);
}

void add_layers(const ModelInfo& info, const store::ModelLayers& layers, Json& out) {
  Json parameters = Json::object();
  Json stop = Json::array();
  for (const store::Parameter& each : layers.parameters) {
    if (each.name == "stop") stop.push_back(each.value);
    if (each.name != "stop") parameters[each.name] = each.value;
  }
  if (!stop.empty()) parameters["stop"] = std::move(stop);
  out["template"] = chat_template_text(info, layers);
  out["system"] = layers.system.value_or("");
  out["model_parameters"] = std::move(parameters);
  out["licenses"] = layers.licenses;
  out["adapters"] = Json::array();
  for (const auto& adapter : layers.adapters) out["adapters"].push_back(adapter.string());
  out["messages"] = Json::array();
  for (const Message& message : layers.messages) {
    out["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
}

std::string template_text(const ModelInfo& info) {
  if (info.template_source == "model") {
    return fmt::format("the model's own, {} characters (--template prints it)",
                       info.chat_template.size());
  }
  return info.template_source;
}

Json layers_json(const ModelInfo& info) {
  Json layers = Json::array();
  for (const LayerGroup& group : info.layers) {
    layers.push_back({{"first", group.first},
                      {"last", group.last},
                      {"mixer", group.mixer},
                      {"ffn", group.ffn},
                      {"notes", group.notes},
                      {"bytes", group.bytes}});
  }
  return layers;
}

Json tensors_json(const ModelInfo& info) {
  Json tensors = Json::array();
  for (const TensorEntry& tensor : info.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"type", tensor.type},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes}});
  }
  return tensors;
}

Json metadata_json(const ModelInfo& info) {
  Json metadata = Json::object();
  for (const auto& [key, value] : info.metadata) metadata[key] = value;
  return metadata;
}

Json info_json(const ModelInfo& info) {
  Json mix = Json::object();
  for (const auto& [type, share] : info.quantisation_mix) mix[type] = share;
  return {{"file", info.path.string()},
          {"file_bytes", info.file_bytes},
          {"files", info.n_files},
          {"name", info.name},
          {"architecture", info.architecture},
          {"runnable", info.runnable},
          {"why_not", info.why_not},
          {"parameters", info.n_parameters},
          {"bits_per_weight", info.bits_per_weight},
          {"quantisation", mix},
          {"context_length", info.context_length},
          {"rope", info.rope},
          {"embedding_length", info.embedding_length},
          {"vocabulary_size", info.vocabulary_size},
          {"pooling", info.pooling},
          {"tokenizer", info.tokenizer},
          {"template_source", info.template_source},
          {"template", info.chat_template},
          {"license", info.license},
          {"layers", layers_json(info)}};
}

class ShowCommand : public Command {
 public:
  ShowCommand() {
    description =
        "Only the directory of the file is read, so it answers at once at any size. Of a model "
        "that is not on this machine the server's file is looked at, a few MB of it, and nothing "
        "is kept.";
    options.add_model_argument(&model_);
    options.add_switch("tensors", 0, "list the tensors", &tensors_);
    options.add_switch("metadata", 0, "list the metadata", &metadata_);
    for (const ModelText& text : model_texts()) {
      options.add_switch(text.option, 0, text.help, nullptr).set =
          [this, &text](std::string_view) -> Result<void> {
        if (text_ != nullptr && text_ != &text) {
          return make_error(ErrorCode::kUsage, "--{} and --{} exclude each other", text_->option,
                            text.option);
        }
        text_ = &text;
        return {};
      };
    }
    options.add_text("tensor", 0, "NAME", "decode one tensor to float32; needs -o", &tensor_);
    options.add_file("output", 'o', "the .npy file for --tensor", &output_);
    add_rope_options(options, &rope_);
    load_.fetch.add_to(options);
    add_json_option();
    examples = {{"llmrun show smollm2:135m", "the whole picture"},
                {"llmrun show model.gguf --tensors --json", "all tensors, for a program"},
                {"llmrun show model.gguf --tensor token_embd.weight -o embedding.npy",
                 "one tensor for NumPy"}};
  }

  Result<void> execute() override {
    LLMRUN_TRY(check());
    LLMRUN_ASSIGN(const ModelHeader header, find_header(model_, load_.fetch));
    if (header.header) {
      if (text_ == nullptr && tensor_.empty()) return show_remote(header);
      return make_error(ErrorCode::kNotFound,
                        "{} is not on this machine, and --{} needs all of it; to fetch it: llmrun "
                        "pull {}",
                        header.name, text_ != nullptr ? text_->option : "tensor", model_);
    }
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.find(model_));
    if (!tensor_.empty()) return write_tensor(path);
    LLMRUN_ASSIGN(ModelInfo info, inspect_model(path, rope_));
    if (info.chat_template.empty() && load_.layers.chat_template) {
      info.template_source = "the Go template of its layer (--template prints it)";
    }
    if (text_ != nullptr) return print_text(info);
    print_info(info);
    return {};
  }

 private:
  // What travels with it in layers of its own comes with the download.
  Result<void> show_remote(const ModelHeader& header) {
    auto info = inspect_model(header.file, rope_);
    if (!info) return header.explain(std::move(info).error());
    info->path = header.name;
    if (!json && !tensors_ && !metadata_) {
      print("{} is not on this machine: {} to download.\n\n", safe_for_terminal(header.name),
            format_bytes_decimal(header.file_bytes));
    }
    print_info(*info, header.file_bytes);
    return {};
  }

  Result<void> print_text(const ModelInfo& info) const {
    const std::string text = text_->text(info, load_.layers, model_);
    if (text.empty()) {
      return make_error(
          ErrorCode::kNotFound, "{} has no {}{}", model_, text_->missing,
          text_ == model_texts().data() ? fmt::format(" ({} is used)", info.template_source) : "");
    }
    write_out(text);
    return {};
  }

  // `to_download`: of a model that is not here.
  void print_info(const ModelInfo& info, std::optional<uint64_t> to_download = {}) const {
    if (json) {
      Json out = info_json(info);
      out["on_this_machine"] = !to_download;
      if (to_download) {
        out["download_bytes"] = *to_download;
      } else {
        add_layers(info, load_.layers, out);
      }
      if (tensors_) out["tensors"] = tensors_json(info);
      if (metadata_) out["metadata"] = metadata_json(info);
      print_json_text(to_text(out, 2), to_text(out));
    } else if (tensors_ || metadata_) {
      if (tensors_) print_tensors(info);
      if (metadata_) print_metadata(info);
    } else {
      print_summary(info, load_.layers);
    }
  }

  [[nodiscard]] Result<void> check() const {
    if (rope_.any() && (tensors_ || metadata_ || text_ != nullptr || !tensor_.empty())) {
      return make_error(
          ErrorCode::kUsage,
          "the options of rope change the summary alone; give them without the lists");
    }
    if (tensor_.empty() != output_.empty()) {
      return make_error(ErrorCode::kUsage, "--tensor NAME and -o FILE.npy belong together");
    }
    if (!tensor_.empty() && (tensors_ || metadata_ || text_ != nullptr)) {
      return make_error(ErrorCode::kUsage, "--tensor writes one tensor; give it without the lists");
    }
    if (text_ != nullptr && (json || tensors_ || metadata_)) {
      return make_error(ErrorCode::kUsage,
                        "--{} prints only that; --json without it tells it among all else",
                        text_->option);
    }
    return {};
  }

  Result<void> write_tensor(const std::filesystem::path& path) {
    LLMRUN_ASSIGN(const DecodedTensor tensor, decode_tensor(path, tensor_));
    const std::vector<uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
    LLMRUN_TRY(write_npy<float>(output_, shape, tensor.values));
    if (json) {
      const Json out = {{"tensor", tensor_}, {"shape", tensor.shape}, {"file", output_}};
      print_json_text(to_text(out, 2), to_text(out));
    } else {
      print("{}: float32 [{}] of {}\n", output_, shape_text(tensor.shape), tensor_);
    }
    return {};
  }

  static void print_summary(const ModelInfo& info, const store::ModelLayers& layers) {
    const auto field = [](std::string_view name, std::string_view value) {
      if (!value.empty()) print("{:<14}{}\n", name, safe_for_terminal(value));
    };
    field("name", info.name);
    field("architecture",
          info.runnable ? info.architecture
                        : fmt::format("{} (cannot be run: {})", info.architecture, info.why_not));
    field("parameters", format_count(info.n_parameters));
    field("quantisation", mix_text(info));
    field("context", fmt::format("{} tokens", info.context_length));
    field("rope", info.rope);
    field("embedding", fmt::format("{} wide{}{}", info.embedding_length,
                                   info.pooling.empty() ? "" : ", pooling ", info.pooling));
    field("tokenizer", fmt::format("{}, {} tokens", info.tokenizer, info.vocabulary_size));
    field("template", template_text(info));
    for (const store::Parameter& each : layers.parameters) {
      field(&each == layers.parameters.data() ? "defaults" : "",
            fmt::format("{} {}", each.name, shorten(one_line(each.value), 60)));
    }
    if (layers.system) field("system", shorten(one_line(*layers.system), 70));
    for (const auto& adapter : layers.adapters) field("adapter", adapter.string());
    field("license", info.license);
    for (const std::string& license : layers.licenses) {
      field("license", shorten(one_line(license), 70));
    }
    field("file", info.n_files > 1
                      ? fmt::format("{} in {} files, {}", info.path.string(), info.n_files,
                                    format_bytes(info.file_bytes))
                      : fmt::format("{}, {}", info.path.string(), format_bytes(info.file_bytes)));
    if (info.layers.empty()) return;
    TextTable table;
    table.add_column("LAYERS", Align::kRight);
    table.add_column("MIXER");
    table.add_column("FFN");
    table.add_column("SIZE", Align::kRight);
    table.add_column("NOTES");
    for (const LayerGroup& group : info.layers) {
      table.add_row({group.first == group.last ? fmt::format("{}", group.first)
                                               : fmt::format("{}-{}", group.first, group.last),
                     group.mixer, group.ffn, format_bytes(group.bytes), group.notes});
    }
    print("\n{}", table.text());
  }

  static void print_tensors(const ModelInfo& info) {
    TextTable table;
    table.add_column("TENSOR");
    table.add_column("TYPE");
    table.add_column("SHAPE", Align::kRight);
    table.add_column("BYTES", Align::kRight);
    for (const TensorEntry& tensor : info.tensors) {
      table.add_row({safe_for_terminal(tensor.name), tensor.type, shape_text(tensor.shape),
                     fmt::format("{}", tensor.bytes)});
    }
    write_out(table.text());
  }

  static void print_metadata(const ModelInfo& info) {
    const bool to_terminal = is_terminal(STDOUT_FILENO);
    const int width = terminal_width(STDOUT_FILENO);
    size_t longest = 0;
    for (const auto& [key, value] : info.metadata) longest = std::max(longest, key.size());
    longest = std::min<size_t>(longest, 48);
    for (const auto& [key, value] : info.metadata) {
      std::string line = safe_for_terminal(value);
      std::replace(line.begin(), line.end(), '\n', ' ');
      if (to_terminal) line = shorten(line, std::max(20, width - static_cast<int>(longest) - 2));
      print("{:<{}}  {}\n", safe_for_terminal(key), longest, line);
    }
  }

  std::string model_, tensor_, output_;
  LoadFlags load_;
  RopeOverride rope_;
  bool tensors_ = false, metadata_ = false;
  const ModelText* text_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> make_show_command() { return std::make_unique<ShowCommand>(); }

}  // namespace llmrun::cli
