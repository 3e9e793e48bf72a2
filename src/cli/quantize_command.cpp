// `llmrun quantize`.
#include "llmrun/quantize.h"

#include <map>
#include <optional>

#include "base/error.h"
#include "base/progress.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

std::string list_of_types() {
  std::string text;
  for (const QuantizeType& type : quantize_types()) {
    text +=
        fmt::format("{}{} ({})", text.empty() ? "Types, by kind: " : ", ", type.name, type.about);
  }
  return text + ".";
}

class QuantizeCommand : public Command {
 public:
  QuantizeCommand() {
    description =
        "Writes the model with weights of fewer bits. A type such as Q4_K_M gives more bits to the "
        "matrices that need them, as files of that name do everywhere; vectors stay F32. Rows that "
        "do not divide into the blocks of a type get a similar type with smaller blocks, and the "
        "report says so.\n\n"
        "The error of a tensor is the root of its squared error relative to the values it had in "
        "IN. Small types lose much less with --importance FILE, which 'llmrun importance' gathers "
        "from a text.\n\n" +
        list_of_types();
    options.add_model_argument(&input_);
    options.add_text_argument("OUT", "the GGUF file to write", &output_);
    options.add_text_argument("TYPE", "what to make of it: Q4_K_M, …", &type_);
    options.add_switch("keep-output-f16", 0, "leave the output matrix at 16 bits", &keep_output_);
    options.add_texts("override", 0, "REGEX=TYPE",
                      "type of the tensors whose names match; may be given several times",
                      &overrides_);
    options.add_file("importance", 0, "weigh errors by what 'llmrun importance' wrote",
                     &importance_);
    options.add_switch("dry-run", 'n', "print the types and sizes and write nothing", &dry_run_);
    options.add_switch("tensors", 0, "print every tensor", &per_tensor_);
    options.add_integer("threads", 't', "N", "threads to compute with (default: one per core)",
                        &threads_, {1, 1024});
    options.add_switch("quiet", 'q', "show no progress", &quiet_);
    fetch_.add_to(options);
    add_json_option();
    examples = {{"llmrun quantize model-bf16.gguf model-q4.gguf Q4_K_M", "the usual choice"},
                {"llmrun quantize model-bf16.gguf - Q3_K_M --dry-run", "how large would it be?"},
                {"llmrun quantize m.gguf small.gguf IQ2_M --importance m.imatrix.gguf",
                 "2.7 bits per weight, where they matter"},
                {"llmrun quantize m.gguf out.gguf Q4_K_M --override 'ffn_down=q6_k' --tensors",
                 "more bits for some"}};
  }

  Result<void> execute() override {
    QuantizeOptions quantize;
    LLMRUN_ASSIGN(quantize.input, fetch_.find_file(input_));
    quantize.output = output_;
    quantize.type = type_;
    quantize.keep_output_f16 = keep_output_;
    LLMRUN_ASSIGN(quantize.overrides, parse_overrides());
    quantize.importance = importance_;
    quantize.threads = static_cast<int>(threads_);
    quantize.dry_run = dry_run_;
    const InterruptGuard guard;
    std::optional<Progress> bar;
    quantize.progress = [&](uint64_t done, uint64_t total) -> Result<void> {
      if (!quiet_ && !json) {
        if (!bar) bar.emplace("quantising", total);
        bar->update(done);
      }
      return InterruptGuard::check();
    };
    const auto result = quantize_model(quantize);
    if (bar && result) bar->finish();
    bar.reset();
    if (!result) return tl::unexpected<Error>(result.error());
    if (json) {
      print_as_json(*result);
    } else {
      print_as_text(*result);
    }
    return {};
  }

 private:
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> parse_overrides() const {
    std::vector<std::pair<std::string, std::string>> parsed;
    for (const std::string& text : overrides_) {
      const size_t equals = text.rfind('=');
      if (equals == std::string::npos || equals == 0) {
        return make_error(ErrorCode::kUsage, "--override \"{}\" is not of the form REGEX=TYPE",
                          text);
      }
      parsed.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    return parsed;
  }

  void print_as_json(const Quantization& result) const {
    Json tensors = Json::array();
    for (const QuantizedTensor& tensor : result.tensors) {
      Json one = {{"name", tensor.name},
                  {"shape", tensor.shape},
                  {"from", tensor.from},
                  {"to", tensor.to},
                  {"bytes_before", tensor.bytes_before},
                  {"bytes_after", tensor.bytes_after}};
      if (!dry_run_) one["relative_error"] = tensor.relative_error;
      if (!dry_run_ && tensor.weighted_error) one["weighted_error"] = *tensor.weighted_error;
      if (!tensor.note.empty()) one["note"] = tensor.note;
      tensors.push_back(std::move(one));
    }
    Json out = {{"output", dry_run_ ? "" : output_},
                {"type", result.type},
                {"bytes_before", result.bytes_before},
                {"bytes_after", result.bytes_after},
                {"bits_per_weight", result.bits_per_weight},
                {"n_with_importance", result.n_with_importance},
                {"warnings", result.warnings},
                {"tensors", tensors}};
    if (!dry_run_) out["relative_error"] = result.relative_error;
    print_json_text(to_text(out, 2), to_text(out));
  }

  void print_as_text(const Quantization& result) const {
    if (per_tensor_) {
      print("{}\n", tensor_table(result));
    } else {
      print_notes(result);
    }
    print("{}\n", type_table(result));
    print("{}{}: {} -> {}, {:.2f} bits per weight", dry_run_ ? "would write " : "",
          dry_run_ ? result.type : safe_for_terminal(output_), format_bytes(result.bytes_before),
          format_bytes(result.bytes_after), result.bits_per_weight);
    if (!dry_run_) print(", relative error {:.5f}", result.relative_error);
    print("\n");
    for (const std::string& warning : result.warnings) print("warning: {}\n", warning);
  }

  [[nodiscard]] std::string tensor_table(const Quantization& result) const {
    TextTable table;
    for (const char* title : {"TENSOR", "FROM", "TO"}) table.add_column(title);
    for (const char* title : {"BYTES", "ERROR", "WEIGHTED"}) table.add_column(title, Align::kRight);
    table.add_column("NOTE");
    for (const QuantizedTensor& tensor : result.tensors) {
      const bool changed = !dry_run_ && tensor.from != tensor.to;
      table.add_row(
          {safe_for_terminal(tensor.name), tensor.from, tensor.to, format_bytes(tensor.bytes_after),
           changed ? fmt::format("{:.5f}", tensor.relative_error) : "",
           changed && tensor.weighted_error ? fmt::format("{:.5f}", *tensor.weighted_error) : "",
           tensor.note});
    }
    return table.text();
  }

  // The tensors that got another type than their mix says, one line for each reason.
  static void print_notes(const Quantization& result) {
    std::map<std::string, int> notes;
    for (const QuantizedTensor& tensor : result.tensors) {
      if (!tensor.note.empty() && tensor.note != "--override") {
        ++notes[fmt::format("{}: {} instead", tensor.note, tensor.to)];
      }
    }
    for (const auto& [note, count] : notes) print("note: {} ({} tensors)\n", note, count);
  }

  [[nodiscard]] std::string type_table(const Quantization& result) const {
    struct Sums {
      int n = 0;
      uint64_t bytes = 0;
      double worst = 0;
    };
    std::map<std::string, Sums> by_type;
    for (const QuantizedTensor& tensor : result.tensors) {
      Sums& sums = by_type[tensor.to];
      ++sums.n;
      sums.bytes += tensor.bytes_after;
      sums.worst = std::max(sums.worst, tensor.relative_error);
    }
    TextTable table;
    table.add_column("TYPE");
    for (const char* title : {"TENSORS", "BYTES", "WORST ERROR"}) {
      table.add_column(title, Align::kRight);
    }
    for (const auto& [type, sums] : by_type) {
      table.add_row({type, fmt::format("{}", sums.n), format_bytes(sums.bytes),
                     dry_run_ ? "" : fmt::format("{:.5f}", sums.worst)});
    }
    return table.text();
  }

  std::string input_, output_, type_, importance_;
  std::vector<std::string> overrides_;
  int64_t threads_ = 0;
  FetchFlags fetch_;
  bool keep_output_ = false, dry_run_ = false, per_tensor_ = false, quiet_ = false;
};

}  // namespace

std::unique_ptr<Command> make_quantize_command() { return std::make_unique<QuantizeCommand>(); }

}  // namespace llmrun::cli
