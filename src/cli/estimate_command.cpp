// `llmrun estimate`: the rule of thumb for a number of parameters, the exact plan for a file.
#include <optional>

#include "base/error.h"
#include "base/units.h"
#include "cli/batch_model.h"
#include "cli/batch_report.h"
#include "cli/command.h"
#include "cli/estimate_formula.h"
#include "cli/estimate_gpu.h"
#include "cli/json.h"
#include "cli/memory_plan_report.h"
#include "cli/model_argument.h"
#include "cli/model_header.h"
#include "cli/output.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

constexpr const char* kLegend =
    "P: parameters. Q: bits per weight. 1.2: a fifth more for cache and buffers. 1 GB = 10^9 "
    "bytes.\n";

class EstimateCommand : public Command {
 public:
  EstimateCommand() {
    description =
        "For a number of parameters: M = P * 4 bytes * 1.2 / (32 / Q), with P parameters of Q bits "
        "each. For a model: the exact plan by component, the one the loader allocates. Of a model "
        "that is not on this machine only the header is read, a few MB, before any download.";
    options.add_model_argument(&model_).required = false;
    options.start_group("Rule of thumb");
    add_count_option();
    add_bits_option();
    options.add_switch("table", 0, "a table of common sizes at 4, 8 and 16 bits", &table_);
    options.start_group("Plan of a model");
    context_.add_to(options);
    add_batch_option();
    options.add_integer("parallel", 0, "N", "conversations at the same time (default: 1)",
                        &context_.context.max_sequences, {1, 4096});
    options.add_switch("all-quants", 0, "a table of all that a Hugging Face repository has",
                       &all_quants_);
    fetch_.add_to(options);
    options.start_group("Plan for GPUs");
    gpu_.add_to(options);
    options.start_group("Options");
    add_fits_option();
    add_json_option();
    examples = {{"llmrun estimate --params 7B --bits 4", "4.2 GB, and how that comes about"},
                {"llmrun estimate --params 7B --fits 8GiB", "how many bits a weight may have"},
                {"llmrun estimate --batch requests.jsonl smollm2:135m", "a batch, and its time"},
                {"llmrun estimate smollm2:135m --ctx 4096 --kv-type int8", "the plan of a model"},
                {"llmrun estimate hf:USER/REPO --all-quants", "which of its files fits here"},
                {"llmrun estimate smollm2:135m --gpu rtx4090", "what of it fits on a card"},
                {"llmrun estimate smollm2:135m --gpu rtx3060 --gpu-layers 20 --host-bandwidth 50",
                 "how fast with ten layers in the memory of another machine"},
                {"llmrun estimate smollm2:135m --gpu rtx4090,rtx4090 --split-mode tensor",
                 "what each of two cards would hold"}};
  }

  Result<void> execute() override {
    LLMRUN_TRY(check());
    LLMRUN_ASSIGN(const bool for_gpu, gpu_.wanted(options));
    if (for_gpu) return estimate_on_gpu();
    if (!batch_input_.empty()) return estimate_batch();
    if (!model_.empty()) return estimate_model();
    if (table_) return print_table();
    if (!parameters_) return print_largest();
    if (fits_) return print_fitting();
    return print_rule_of_thumb();
  }

 private:
  void add_count_option() {
    options.add_text("params", 'p', "P", "number of parameters: 7B, 1.5B, 135M", nullptr).set =
        [this](std::string_view text) -> Result<void> {
      LLMRUN_ASSIGN(const uint64_t count, parse_count(text));
      if (count == 0) return make_error(ErrorCode::kUsage, "--params must be more than 0");
      parameters_ = static_cast<double>(count);
      return {};
    };
  }

  void add_bits_option() {
    options.add_text("bits", 'q', "Q", "bits per weight (default: 4, 8, 16 and 32)", nullptr).set =
        [this](std::string_view text) -> Result<void> {
      LLMRUN_ASSIGN(bits_, parse_number(text, "--bits", {0.5, 64}));
      return {};
    };
  }

  // "--batch 512" is tokens read in one pass, as everywhere; "--batch requests.jsonl" is a file.
  void add_batch_option() {
    Option& option = *options.find("batch");
    option.value = "N|IN";
    option.help =
        "prompt tokens read in one pass (default: 512), or the input of 'llmrun batch', to tell "
        "what it would take";
    option.kind = ValueKind::kFile;
    option.set = [this](std::string_view text) -> Result<void> {
      if (text.find_first_not_of("0123456789") != std::string_view::npos) {
        batch_input_ = text;
        return {};
      }
      LLMRUN_ASSIGN(context_.context.batch_tokens, parse_integer(text, "--batch", {1, 65536}));
      return {};
    };
  }

  Result<void> estimate_batch() {
    batch::Options wanted;
    wanted.input = batch_input_;
    wanted.model = model_;
    wanted.context = context_.context;
    wanted.context.max_sequences = options.given("parallel") ? context_.context.max_sequences : 0;
    wanted.find_model = [this](const std::string& name) {
      LoadFlags load;
      load.fetch = fetch_;
      return find_batch_model(std::move(load), name);
    };
    wanted.keep_going = true;
    LLMRUN_ASSIGN(const batch::Job job, batch::Job::prepare(std::move(wanted)));
    return print_batch_estimate(job, json);
  }

  void add_fits_option() {
    options.add_text("fits", 0, "SIZE", "tell what fits into this much memory: 8GiB, 24GB", nullptr)
        .set = [this](std::string_view text) -> Result<void> {
      LLMRUN_ASSIGN(fits_, parse_bytes(text));
      return {};
    };
  }

  // An option that would have no effect is an error.
  [[nodiscard]] Result<void> check() const {
    for (const char* name : {"ctx", "parallel", "batch", "kv-type", "k-type", "v-type",
                             "all-quants", "yes", "offline", "insecure"}) {
      if (model_.empty() && batch_input_.empty() && options.given(name)) {
        return make_error(ErrorCode::kUsage,
                          "--{} has no effect without MODEL: the rule of thumb knows only numbers",
                          name);
      }
    }
    for (const char* name : {"params", "bits", "table"}) {
      if ((!model_.empty() || !batch_input_.empty()) && options.given(name)) {
        return make_error(
            ErrorCode::kUsage,
            "--{} has no effect on a model, which says that itself; give either MODEL "
            "or --params",
            name);
      }
    }
    if (table_ && (parameters_ || bits_ || fits_)) {
      return make_error(ErrorCode::kUsage, "--table has its own sizes; give it alone");
    }
    if (!batch_input_.empty() && fits_) {
      return make_error(ErrorCode::kUsage, "--fits has no effect on a batch");
    }
    if (model_.empty() && batch_input_.empty() && !parameters_ && !table_ && !fits_) {
      return make_error(ErrorCode::kUsage,
                        "give --params (as in --params 7B --bits 4), a MODEL, or --table");
    }
    return {};
  }

  [[nodiscard]] std::vector<double> bits_or(std::span<const double> otherwise) const {
    if (bits_) return {*bits_};
    return {otherwise.begin(), otherwise.end()};
  }

  [[nodiscard]] Json row(double n_parameters, double bits) const {
    const double n_bytes = rule_of_thumb_bytes(n_parameters, bits);
    Json out = {
        {"params", n_parameters}, {"bits", bits}, {"bytes", n_bytes}, {"gigabytes", n_bytes / 1e9}};
    if (fits_) out["fits"] = n_bytes <= static_cast<double>(*fits_);
    return out;
  }

  void print_json(Json out) const {
    out["formula"] = "M = P * 4 * 1.2 / (32 / Q)";
    if (fits_) out["fits_bytes"] = *fits_;
    print_json_text(to_text(out, 2), to_text(out));
  }

  Result<void> print_rule_of_thumb() {
    static constexpr double kDefaultBits[] = {4, 8, 16, 32};
    const std::vector<double> all_bits = bits_or(kDefaultBits);
    if (json) {
      Json out = {{"results", Json::array()}};
      for (const double bits : all_bits) out["results"].push_back(row(*parameters_, bits));
      print_json(out);
      return {};
    }
    if (bits_) {
      write_out(formula_with_numbers(*parameters_, *bits_));
      print("\n{}", kLegend);
      return {};
    }
    print("M = P * 4 bytes * 1.2 / (32 / Q), P = {}\n\n", format_parameters(*parameters_));
    TextTable table;
    table.add_column("bits", Align::kRight);
    table.add_column("memory", Align::kRight);
    table.add_column("calculation");
    for (const double bits : all_bits) {
      const std::string memory = format_gigabytes(rule_of_thumb_bytes(*parameters_, bits));
      table.add_row({format_bits(bits), memory + " GB",
                     fmt::format("{} * 4 bytes * 1.2 / (32 / {})", format_parameters(*parameters_),
                                 format_bits(bits))});
    }
    print("{}\n{}", table.text(), kLegend);
    return {};
  }

  Result<void> print_table() {
    if (json) {
      Json out = {{"results", Json::array()}};
      for (const double size : kTableSizes) {
        for (const double bits : kTableBits) out["results"].push_back(row(size, bits));
      }
      print_json(out);
    } else {
      print("M = P * 4 bytes * 1.2 / (32 / Q)\n\n{}\n{}", size_table(), kLegend);
    }
    return {};
  }

  // Which widths of the weights fit.
  Result<void> print_fitting() {
    const auto limit = static_cast<double>(*fits_);
    const double most_bits = limit / rule_of_thumb_bytes(*parameters_, 1);
    Json out = {{"results", Json::array()}, {"max_bits", most_bits}};
    TextTable table;
    table.add_column("bits", Align::kRight);
    table.add_column("memory", Align::kRight);
    table.add_column("fits");
    std::string fitting;
    for (const double bits : bits_or(kCommonBits)) {
      const double n_bytes = rule_of_thumb_bytes(*parameters_, bits);
      if (n_bytes <= limit) fitting += (fitting.empty() ? "" : ", ") + format_bits(bits);
      out["results"].push_back(row(*parameters_, bits));
      table.add_row(
          {format_bits(bits), format_gigabytes(n_bytes) + " GB", n_bytes <= limit ? "yes" : "no"});
    }
    if (json) {
      print_json(out);
      return {};
    }
    print("{} parameters in {} ({} GB): {}\n\n{}\nThe most is {:.2f} bits per weight.\n",
          format_parameters(*parameters_), format_bytes(*fits_), format_gigabytes(limit),
          fitting.empty() ? "nothing fits" : "fits at " + fitting + " bits", table.text(),
          most_bits);
    return {};
  }

  // How many parameters fit.
  Result<void> print_largest() {
    const auto limit = static_cast<double>(*fits_);
    Json out = {{"results", Json::array()}};
    TextTable table;
    table.add_column("bits", Align::kRight);
    table.add_column("most parameters", Align::kRight);
    for (const double bits : bits_or(kCommonBits)) {
      const double most = limit / rule_of_thumb_bytes(1, bits);
      out["results"].push_back({{"bits", bits}, {"max_params", most}});
      table.add_row({format_bits(bits), format_count(static_cast<uint64_t>(most))});
    }
    if (json) {
      print_json(out);
    } else {
      print("What fits into {} ({} GB):\n\n{}", format_bytes(*fits_), format_gigabytes(limit),
            table.text());
    }
    return {};
  }

  Result<void> estimate_on_gpu() {
    if (model_.empty()) {
      return make_error(ErrorCode::kUsage,
                        "give a MODEL: the rule of thumb knows no layers to put on a GPU");
    }
    if (fits_) {
      return make_error(ErrorCode::kUsage,
                        "--fits has no effect on the plan for a GPU; --vram says what it has");
    }
    if (all_quants_) {
      return make_error(ErrorCode::kUsage, "--all-quants has no effect on the plan for a GPU");
    }
    LLMRUN_ASSIGN(const ModelHeader header, find_header(model_, fetch_));
    GpuRequest request = gpu_.request;
    if (!gpu_.device.empty()) request.device = gpu_.device;
    auto printed = print_gpu_estimate(header.file, context_.context, request, json);
    if (!printed) return header.explain(std::move(printed).error());
    return {};
  }

  Result<void> estimate_model() {
    return report_memory_plan({model_, context_.context, fits_, all_quants_, json, fetch_});
  }

  std::string model_;
  std::string batch_input_;
  ContextFlags context_;
  GpuFlags gpu_;
  std::optional<double> parameters_;
  std::optional<double> bits_;
  std::optional<uint64_t> fits_;
  FetchFlags fetch_;
  bool table_ = false, all_quants_ = false;
};

}  // namespace

std::unique_ptr<Command> make_estimate_command() { return std::make_unique<EstimateCommand>(); }

}  // namespace llmrun::cli
