// `llmrun doctor`: what this machine offers and what is missing; or whether a model is sound.
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/terminal.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "llmrun/checkup.h"
#include "llmrun/tools.h"
#include "store/catalog.h"
#include "store/paths.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

struct Finding {
  bool good = true;
  std::string what;
  std::string advice;  // when not good
};

// Whether a file could be made in `folder`, or in the nearest folder above that exists.
Finding check_folder(const std::filesystem::path& folder) {
  std::filesystem::path existing = folder;
  std::error_code ignored;
  while (!existing.empty() && !std::filesystem::exists(existing, ignored) &&
         existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  const bool writable = access(existing.c_str(), W_OK) == 0;
  return {writable, fmt::format("data folder {}", folder.string()),
          fmt::format("{} is not writable: models and chats cannot be kept; set LLMRUN_HOME to a "
                      "folder that is",
                      existing.string())};
}

std::vector<Finding> find(const MachineInfo& machine, size_t n_models) {
  std::vector<Finding> findings;
  const bool vectors = machine.chosen_target != "plain" && machine.chosen_target != "generic";
  findings.push_back({vectors, fmt::format("CPU target {}", machine.chosen_target),
                      "no vector instructions that llmrun has kernels for: it runs, but slowly"});
  findings.push_back({machine.available_bytes >= uint64_t{1} << 30,
                      fmt::format("{} of {} memory free", format_bytes(machine.available_bytes),
                                  format_bytes(machine.memory_bytes)),
                      "less than 1 GiB is free: only the smallest models fit"});
  findings.push_back(check_folder(store::data_dir()));
  findings.push_back({n_models > 0, fmt::format("{} models in the local store", n_models),
                      fmt::format("no model yet: 'llmrun run {}' fetches one",
                                  store::catalog().empty() ? "MODEL" : store::catalog()[0].name)});
  return findings;
}

class DoctorCommand : public Command {
 public:
  DoctorCommand() {
    description =
        "Without MODEL it prints what the engine can use and says what is missing and what to "
        "do.\n\n"
        "With MODEL it looks for faults in a model file: every tensor is decoded (NaN, zeros, "
        "blocks whose scale is out of proportion), the vocabulary is taken through texts and back "
        "and held against its pre-tokenizer, the chat template renders a conversation, and the "
        "model reads a well-known sentence, also with neighbouring RoPE bases. The exit code is 4 "
        "when the model is faulty.";
    options.add_model_argument(&model_).required = false;
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun doctor", "before reporting a problem"},
                {"llmrun doctor model.gguf && echo sound", "after a download or a conversion"}};
  }

  Result<void> execute() override {
    if (!model_.empty()) return check_model_file();
    for (const char* option : {"threads", "device", "cpu-target", "yes", "offline", "insecure"}) {
      if (options.given(option)) {
        return make_error(ErrorCode::kUsage, "--{} has no effect without a model", option);
      }
    }
    const MachineInfo machine = describe_machine();
    const std::vector<Finding> findings = find(machine, store::list_models().size());
    if (json) {
      print_as_json(machine, findings);
    } else {
      print_as_text(machine, findings);
    }
    return {};
  }

 private:
  [[nodiscard]] Result<void> check_model_file() const {
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.fetch.find_file(model_));
    LLMRUN_ASSIGN(const Checkup checkup, check_model(path, load_.value()));
    if (json) {
      Json checks = Json::array();
      for (const CheckResult& result : checkup.results) {
        checks.push_back({{"what", result.what}, {"good", result.good}, {"detail", result.detail}});
      }
      const Json out = {{"file", path.string()},
                        {"faults", checkup.n_faults()},
                        {"seconds", checkup.seconds},
                        {"checks", checks}};
      print_json_text(to_text(out, 2), to_text(out));
    } else {
      for (const CheckResult& result : checkup.results) {
        print("{}  {:<14}{}\n", mark(result.good), result.what, safe_for_terminal(result.detail));
      }
    }
    if (checkup.n_faults() == 0) return {};
    return with_context(
        {ErrorCode::kBadModel,
         fmt::format("{} of {} checks found faults; fetch or convert the model again",
                     checkup.n_faults(), checkup.results.size()),
         {}},
        path.string());
  }

  static const char* mark(bool good) {
    if (!wants_color(STDOUT_FILENO)) return good ? "ok" : "!!";
    return good ? "\x1b[32mok\x1b[0m" : "\x1b[33m!!\x1b[0m";
  }

  static void print_as_json(const MachineInfo& machine, const std::vector<Finding>& findings) {
    Json targets = Json::array();
    for (const CpuTargetInfo& target : machine.targets) {
      targets.push_back(
          {{"name", target.name}, {"available", target.available}, {"missing", target.missing}});
    }
    Json checks = Json::array();
    for (const Finding& finding : findings) {
      checks.push_back({{"what", finding.what},
                        {"good", finding.good},
                        {"advice", finding.good ? "" : finding.advice}});
    }
    const Json out = {{"version", version()},
                      {"cpu", machine.cpu},
                      {"physical_cores", machine.physical_cores},
                      {"usable_cores", machine.usable_cores},
                      {"features", machine.features},
                      {"targets", targets},
                      {"chosen_target", machine.chosen_target},
                      {"memory_bytes", machine.memory_bytes},
                      {"available_bytes", machine.available_bytes},
                      {"data_folder", store::data_dir().string()},
                      {"checks", checks}};
    print_json_text(to_text(out, 2), to_text(out));
  }

  static void print_as_text(const MachineInfo& machine, const std::vector<Finding>& findings) {
    std::string features;
    for (const std::string& feature : machine.features) features += " " + feature;
    print("llmrun     {}\n", version());
    print("cpu        {}, {} cores, {} usable\n", machine.cpu, machine.physical_cores,
          machine.usable_cores);
    print("features  {}\n", features.empty() ? " none" : features);
    for (const CpuTargetInfo& target : machine.targets) {
      print("target     {:<10}{}\n", target.name,
            !target.available                      ? "missing: " + target.missing
            : target.name == machine.chosen_target ? "available, in use"
                                                   : "available");
    }
    print("\n");
    for (const Finding& finding : findings) {
      print("{}  {}\n", mark(finding.good), finding.what);
      if (!finding.good) print("    {}\n", finding.advice);
    }
  }

  std::string model_;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() { return std::make_unique<DoctorCommand>(); }

}  // namespace llmrun::cli
