// `llmrun bench`: prompt and decode speed, beside what the machine can do at most.
#include <unistd.h>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "llmrun/tools.h"

namespace llmrun::cli {
namespace {

Json peaks_json(const std::vector<MachinePeak>& peaks) {
  Json out = Json::array();
  for (const MachinePeak& peak : peaks) {
    out.push_back({{"target", peak.target},
                   {"threads", peak.threads},
                   {"read_gigabytes_per_second", peak.read_gigabytes_per_second},
                   {"int8_gigaops_per_second", peak.int8_gigaops_per_second},
                   {"f32_gigaflops_per_second", peak.f32_gigaflops_per_second}});
  }
  return out;
}

std::string rate(double value) { return value > 0 ? fmt::format("{:.1f}", value) : ""; }

std::string peaks_table(const std::vector<MachinePeak>& peaks) {
  TextTable machine;
  machine.add_column("MACHINE");
  for (const char* title : {"THREADS", "READ GB/S", "INT8 GOP/S", "F32 GFLOP/S"}) {
    machine.add_column(title, Align::kRight);
  }
  for (const MachinePeak& peak : peaks) {
    machine.add_row({peak.target, fmt::format("{}", peak.threads),
                     rate(peak.read_gigabytes_per_second), rate(peak.int8_gigaops_per_second),
                     rate(peak.f32_gigaflops_per_second)});
  }
  return machine.text();
}

Json result_json(const BenchResult& result) {
  return {{"test", result.test},
          {"tokens_per_second", result.tokens_per_second},
          {"stddev", result.stddev},
          {"gigabytes_per_second", result.gigabytes_per_second},
          {"share_of_bandwidth", result.share_of_bandwidth},
          {"gigaops_per_second", result.gigaops_per_second},
          {"share_of_peak", result.share_of_peak},
          {"barriers_per_step", result.barriers_per_step},
          {"samples", result.samples}};
}

class BenchCommand : public Command {
 public:
  BenchCommand() {
    description =
        "ppN reads a prompt of N tokens, tgN generates N tokens; @dN is with N tokens in the "
        "context before, xN for N answers at once. GB/s and Gop/s stand beside the share of what "
        "this machine reached in a "
        "test of its memory and its arithmetic a moment before. Without MODEL only the machine is "
        "measured.";
    options.add_model_argument(&model_).required = false;
    options.add_integers("prompt", 'p', "N,...", "prompt lengths (default: 512; 0: none)", &prompt_,
                         {0, 1 << 24});
    options.add_integers("decode", 'n', "N,...", "answer lengths (default: 128; 0: none)", &decode_,
                         {0, 1 << 24});
    options.add_integers("depth", 'd', "N,...", "tokens in the context before (default: 0)",
                         &depths_, {0, 1 << 24});
    options.add_integers("sequences", 's', "N,...", "answers decoded at once (default: 1)",
                         &sequences_, {1, 1024});
    options.add_integer("repetitions", 'r', "N", "times each test is run (default: 5)",
                        &repetitions_, {1, 1000});
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun bench smollm2:135m -p 512 -n 128 -t 2 -r 5", "a table"},
                {"llmrun bench smollm2:135m -n 64 -d 0,1024,4096 --json",
                 "how decoding slows down as the context fills"}};
  }

  Result<void> execute() override {
    BenchOptions bench_options;
    if (!prompt_.empty()) bench_options.prompt_tokens = without_zeros(prompt_);
    if (!decode_.empty()) bench_options.decode_tokens = without_zeros(decode_);
    if (!depths_.empty()) bench_options.depths = depths_;
    if (!sequences_.empty()) bench_options.sequences = sequences_;
    bench_options.repetitions = static_cast<int>(repetitions_);
    if (model_.empty()) return measure_only_the_machine();
    if (bench_options.prompt_tokens.empty() && bench_options.decode_tokens.empty()) {
      return make_error(ErrorCode::kUsage, "nothing to measure: both -p and -n are 0");
    }
    LLMRUN_ASSIGN(const std::filesystem::path path,
                  load_.find(model_, bench_context(bench_options)));
    LLMRUN_ASSIGN(const Model model, Model::open(path, load_.value()));
    LLMRUN_ASSIGN(const std::vector<MachinePeak> peaks, measure());
    const auto results =
        bench(model, bench_options, chosen(peaks), [this](std::string_view what) { note(what); });
    clear_note();
    if (!results) return tl::unexpected<Error>(results.error());
    if (json) {
      print_as_json(model, peaks, *results);
    } else {
      print_as_table(model, peaks, *results);
    }
    return {};
  }

 private:
  [[nodiscard]] Result<std::vector<MachinePeak>> measure() const {
    note("measuring the machine");
    std::vector<MachinePeak> peaks = measure_machine(static_cast<int>(load_.threads));
    if (peaks.empty()) return make_error(ErrorCode::kInternal, "the machine could not be measured");
    return peaks;
  }

  [[nodiscard]] Result<void> measure_only_the_machine() const {
    for (const char* option :
         {"prompt", "decode", "depth", "sequences", "repetitions", "yes", "offline", "insecure"}) {
      if (options.given(option)) {
        return make_error(ErrorCode::kUsage, "--{} has no effect without a model", option);
      }
    }
    LLMRUN_ASSIGN(const std::vector<MachinePeak> peaks, measure());
    clear_note();
    if (json) {
      const Json out = {{"machine", peaks_json(peaks)}};
      print_json_text(to_text(out, 2), to_text(out));
    } else {
      print("{}", peaks_table(peaks));
    }
    return {};
  }

  static std::vector<int64_t> without_zeros(const std::vector<int64_t>& numbers) {
    std::vector<int64_t> kept;
    for (const int64_t number : numbers) {
      if (number != 0) kept.push_back(number);
    }
    return kept;
  }

  // The peak of the target that the model runs on.
  [[nodiscard]] const MachinePeak& chosen(const std::vector<MachinePeak>& peaks) const {
    const std::string target =
        load_.load.cpu_target.empty() ? describe_machine().chosen_target : load_.load.cpu_target;
    for (const MachinePeak& peak : peaks) {
      if (peak.target == target) return peak;
    }
    return peaks.front();
  }

  void note(std::string_view what) const {
    if (json || !is_terminal(STDERR_FILENO)) return;
    (void)std::fprintf(stderr, "\r\x1b[K%.*s ...", static_cast<int>(what.size()), what.data());
  }
  void clear_note() const {
    if (!json && is_terminal(STDERR_FILENO)) (void)std::fprintf(stderr, "\r\x1b[K");
  }

  void print_as_json(const Model& model, const std::vector<MachinePeak>& peaks,
                     const std::vector<BenchResult>& results) const {
    Json out = {{"model", model.info().name},
                {"file", model.info().path.string()},
                {"device", model.device()},
                {"results", Json::array()},
                {"machine", peaks_json(peaks)}};
    for (const BenchResult& result : results) out["results"].push_back(result_json(result));
    print_json_text(to_text(out, 2), to_text(out));
  }

  static void print_as_table(const Model& model, const std::vector<MachinePeak>& peaks,
                             const std::vector<BenchResult>& results) {
    print("{}, {}\n\n",
          model.info().name.empty() ? model.info().path.filename().string()
                                    : safe_for_terminal(model.info().name),
          model.device());
    TextTable table;
    table.add_column("TEST");
    for (const char* title : {"TOK/S", "+/-", "GB/S", "OF BANDWIDTH", "GOP/S", "OF PEAK"}) {
      table.add_column(title, Align::kRight);
    }
    const auto share = [](double value) {
      return value > 0 ? fmt::format("{:.0f} %", 100 * value) : "";
    };
    for (const BenchResult& result : results) {
      table.add_row({result.test, fmt::format("{:.2f}", result.tokens_per_second),
                     fmt::format("{:.2f}", result.stddev), rate(result.gigabytes_per_second),
                     share(result.share_of_bandwidth), rate(result.gigaops_per_second),
                     share(result.share_of_peak)});
    }
    print("{}\n{}", table.text(), peaks_table(peaks));
  }

  std::string model_;
  std::vector<int64_t> prompt_, decode_, depths_, sequences_;
  int64_t repetitions_ = 5;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace llmrun::cli
