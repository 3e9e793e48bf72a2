// `llmrun convert`.
#include "llmrun/convert.h"

#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/output.h"

namespace llmrun::cli {
namespace {

class ConvertCommand : public Command {
 public:
  ConvertCommand() {
    description =
        "Makes a GGUF file of a Hugging Face folder: config.json, the weights (*.safetensors, one "
        "file or many with their index), tokenizer.json and, when they are there, "
        "tokenizer_config.json, the chat template, generation_config.json and the files of "
        "sentence-transformers.\n\n"
        "The weights stream through: memory stays below 1 GB whatever the size of the model. The "
        "output appears when it is complete. A folder that holds something unknown is refused, "
        "with the name of what is unknown.";
    options.add_text_argument("DIR", "the folder", &folder_);
    options.add_file("output", 'o', "the GGUF file to write", &output_);
    options.add_choice("type", 't', {"f32", "f16", "bf16", "q8_0"},
                       "type of the matrices (default: as in the folder)", &type_);
    options.add_text("pre", 0, "NAME",
                     "the way words are split, where tokenizer.json has one that is not recognised",
                     &pre_);
    options.add_text("name", 0, "NAME", "name of the model (default: that of the folder)", &name_);
    options.add_integer("threads", 0, "N", "threads (default: all cores)", &threads_, {1, 256});
    options.add_switch("quiet", 'q', "show no progress", &quiet_);
    add_json_option();
    examples = {
        {"llmrun convert Qwen3-0.6B -o qwen3-0.6b.gguf", "weights as they are"},
        {"llmrun convert Qwen3-0.6B -o qwen3-0.6b-q8.gguf --type q8_0", "half the size of bf16"},
        {"llmrun convert all-MiniLM-L6-v2 -o minilm.gguf --type f32",
         "an embedding model, pooling included"}};
  }

  Result<void> execute() override {
    if (output_.empty()) return make_error(ErrorCode::kUsage, "--output FILE is missing");
    ConvertOptions convert;
    convert.folder = folder_;
    convert.output = output_;
    convert.type = type_;
    convert.pre_tokenizer = pre_;
    convert.name = name_;
    convert.threads = static_cast<int>(threads_);
    const InterruptGuard guard;
    std::optional<Progress> bar;
    convert.progress = [&](uint64_t done, uint64_t total) {
      if (!bar && !quiet_ && !json) bar.emplace("converting", total);
      if (bar) bar->update(done);
      return !InterruptGuard::interrupted();
    };
    const auto result = convert_model(convert);
    if (bar && result) bar->finish();
    bar.reset();
    if (!result) return tl::unexpected<Error>(result.error());
    report(*result);
    return {};
  }

 private:
  void report(const Conversion& result) const {
    if (json) {
      const Json out = {{"output", output_},
                        {"architecture", result.architecture},
                        {"source_class", result.source_class},
                        {"tokenizer", result.tokenizer},
                        {"n_tensors", result.n_tensors},
                        {"n_parameters", result.n_parameters},
                        {"source_bytes", result.source_bytes},
                        {"output_bytes", result.output_bytes},
                        {"bytes_by_type", result.bytes_by_type},
                        {"warnings", result.warnings},
                        {"runnable", result.runnable},
                        {"why_not", result.why_not}};
      return print_json_text(to_text(out, 2), to_text(out));
    }
    print("{}: {}, {} parameters in {} tensors, tokenizer {}, {}\n", safe_for_terminal(output_),
          result.architecture, format_count(result.n_parameters), result.n_tensors,
          safe_for_terminal(result.tokenizer), format_bytes(result.output_bytes));
    for (const std::string& warning : result.warnings) {
      print("note: {}\n", safe_for_terminal(warning));
    }
    if (!result.runnable) print("note: this build cannot run it: {}\n", result.why_not);
  }

  std::string folder_, output_, type_, pre_, name_;
  int64_t threads_ = 0;
  bool quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() { return std::make_unique<ConvertCommand>(); }

}  // namespace llmrun::cli
