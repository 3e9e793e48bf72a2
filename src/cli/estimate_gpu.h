// The part of `estimate` that plans for GPUs, here or not.
#pragma once

#include <filesystem>
#include <functional>

#include "cli/option_table.h"
#include "llmrun/model_info.h"

namespace llmrun::cli {

struct GpuFlags {
  std::string device;  // "cpu", "cuda", "cuda:0,1"; empty: not given
  GpuRequest request;

  void add_to(OptionTable& options);
  // Whether GPUs are planned for; an error when the options do not go together.
  [[nodiscard]] Result<bool> wanted(const OptionTable& options) const;

 private:
  using SetKind = std::function<Result<void>(std::string_view text, GpuKind& kind)>;
  // An option with a value for each card, or one for all of them: "24GiB,16GiB".
  void add_list(OptionTable& options, const char* name, const char* value, const char* help,
                const SetKind& set);
};

Result<void> print_gpu_estimate(const std::filesystem::path& path, const ContextOptions& context,
                                const GpuRequest& request, bool json);

}  // namespace llmrun::cli
