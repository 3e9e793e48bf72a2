// Where a model is taken from, and consent to a download; see fetch_flags.h.
#include "cli/fetch_flags.h"

#include <cstdio>
#include <system_error>

#include "base/error.h"
#include "base/units.h"
#include "cli/confirm.h"
#include "cli/interrupt.h"
#include "cli/model_header.h"
#include "cli/output.h"
#include "llmrun/model_info.h"
#include "llmrun/tools.h"
#include "store/paths.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

namespace fs = std::filesystem;

// The loader's own plan where the server shows the model's header; else the rule of thumb of
// `llmrun estimate` for a file of that size: its weights and a fifth more.
std::string memory_words(const std::string& name, uint64_t bytes, const ContextOptions& context,
                         const store::SourceOptions& source) {
  constexpr double kFactor = 1.2;
  auto needed = static_cast<uint64_t>(static_cast<double>(bytes) * kFactor);
  const auto header = read_remote_header(name, source);
  if (header) {
    const auto plan = estimate_memory(header->file, context);
    if (!plan) return fmt::format("; it cannot run here: {}", plan.error().message);
    needed = plan->total_bytes;
  }
  const uint64_t available = describe_machine().available_bytes;
  return fmt::format("; to run it takes {}{} of memory, and {} are free: it {}",
                     header ? "" : "about ", format_bytes_decimal(needed),
                     format_bytes_decimal(available),
                     needed <= available ? "fits" : "does NOT fit");
}

std::string disk_words(uint64_t bytes) {
  std::error_code error;
  fs::path folder = store::models_dir();
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, error);
  if (error) return {};
  return fmt::format(" ({} free on the disk{})", format_bytes_decimal(space.available),
                     space.available < bytes ? ": NOT enough" : "");
}

}  // namespace

void NetworkFlags::add_to(OptionTable& options) {
  options.add_switch("offline", 0, "ask nothing over the network", &offline);
  options.add_switch("insecure", 0, "allow plain http to other machines", &insecure);
}

store::SourceOptions NetworkFlags::value() const {
  store::SourceOptions options;
  options.offline = offline;
  options.insecure = insecure;
  options.cancelled = InterruptGuard::interrupted;
  return options;
}

void FetchFlags::add_to(OptionTable& options) {
  const std::string around = options.start_group("A model that is not on this machine");
  options.add_switch("yes", 'y', "download it without asking", &yes);
  network.add_to(options);
  options.start_group(around);
}

Result<store::StoredModel> FetchFlags::find(const std::string& name,
                                            const ContextOptions& context) const {
  if (auto model = store::find_model_here(name)) return std::move(*model);
  const InterruptGuard interrupt;
  store::SourceOptions options = network.value();
  options.approve = [&](const std::string& what, uint64_t bytes) {
    const std::string words =
        fmt::format("{} is not on this machine: {} to download{}{}.", safe_for_terminal(what),
                    format_bytes_decimal(bytes), disk_words(bytes),
                    memory_words(name, bytes, context, network.value()));
    if (yes) (void)std::fprintf(stderr, "%s\n", words.c_str());
    return confirm(words + " Download it?", yes);
  };
  return store::find_or_fetch(name, options);
}

Result<fs::path> FetchFlags::find_file(const std::string& name) const {
  LLMRUN_ASSIGN(const store::StoredModel model, find(name));
  return model.file;
}

}  // namespace llmrun::cli
