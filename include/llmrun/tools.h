// Instruments: template rendering without a model, benchmarks, perplexity, what this machine is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/model.h"

namespace llmrun {

// Renders a Jinja chat template over a JSON object of variables (messages, tools,
// add_generation_prompt, …); the `template` command.
struct TemplateCase {
  std::string source;
  std::string name;        // for error messages
  std::string input_json;  // the object
  std::string bos_token, eos_token;
  std::optional<int64_t> now;  // seconds since 1970, told in UTC
  bool is_go = false;          // Go text/template, not Jinja; knows no bos_token and eos_token
};
LLMRUN_API Result<std::string> render_template(const TemplateCase& input);
// Whether a Go template is well-formed; the error has the line and column.
LLMRUN_API Result<void> check_go_template(const std::string& source);

struct BenchOptions {
  std::vector<int64_t> prompt_tokens = {512};
  std::vector<int64_t> decode_tokens = {128};
  std::vector<int64_t> depths = {0};     // tokens already in the cache
  std::vector<int64_t> sequences = {1};  // answers that are decoded at once
  int repetitions = 5;
};
struct BenchResult {
  std::string test;              // "pp512", "tg128", "tg128@d4096", "tg128x8"
  double tokens_per_second = 0;  // of all sequences together
  double stddev = 0;
  double gigabytes_per_second = 0;  // weights and cache read (decode)
  double share_of_bandwidth = 0;    // of the machine's measured read bandwidth (decode)
  double gigaops_per_second = 0;    // 2 * parameters * tokens (prompt)
  double share_of_peak = 0;         // of the measured int8 (or f32, for float weights) peak
  double barriers_per_step = 0;     // how often all threads meet
  std::vector<double> samples;      // tokens per second of each repetition
};
struct MachinePeak {
  std::string target;
  int threads = 0;
  double read_gigabytes_per_second = 0;
  double int8_gigaops_per_second = 0;
  double f32_gigaflops_per_second = 0;
};
// What bench() opens: for LoadOptions::context.
LLMRUN_API ContextOptions bench_context(const BenchOptions& options);
LLMRUN_API Result<std::vector<BenchResult>> bench(
    const Model& model, const BenchOptions& options, const MachinePeak& peak,
    const std::function<void(std::string_view)>& progress = {});
// Measures each CPU target that this machine has (about a second each); the best one first.
LLMRUN_API std::vector<MachinePeak> measure_machine(int threads);
// Of that only how fast main memory is read, in a fraction of a second.
LLMRUN_API double measure_read_gigabytes_per_second(int threads = 0);

struct Perplexity {
  double perplexity = 0;
  double standard_error = 0;
  double mean_nll = 0;    // nats per token
  int64_t n_tokens = 0;   // scored
  int64_t n_windows = 0;  // read
};
// What perplexity() opens: for LoadOptions::context.
LLMRUN_API ContextOptions perplexity_context(int64_t context_tokens);
// Over windows of context_tokens with no overlap; the second half of each window is scored. An
// error of `progress` stops the work.
LLMRUN_API Result<Perplexity> perplexity(
    const Model& model, std::string_view text, int64_t context_tokens,
    const std::function<Result<void>(const Perplexity&, double share)>& progress = {});

struct CpuTargetInfo {
  std::string name;
  bool available = false;
  std::string missing;
};
struct MachineInfo {
  std::string cpu;
  int physical_cores = 0;
  int usable_cores = 0;
  std::vector<std::string> features;
  std::vector<CpuTargetInfo> targets;
  std::string chosen_target;
  uint64_t memory_bytes = 0;
  uint64_t available_bytes = 0;
};
LLMRUN_API MachineInfo describe_machine();

LLMRUN_API std::string_view version();  // "0.1.0"

}  // namespace llmrun
