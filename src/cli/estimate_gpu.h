// The part of `estimate` that plans for a GPU, here or not.
#pragma once

#include <filesystem>
#include <optional>

#include "cli/option_table.h"
#include "llmrun/model_info.h"

namespace llmrun::cli {

struct GpuFlags {
  std::string device;  // "cpu", "cuda"; empty: not given
  GpuRequest request;

  void add_to(OptionTable& options);
  // Whether a GPU is planned for; an error when the options do not go together.
  [[nodiscard]] Result<bool> wanted(const OptionTable& options) const;
};

Result<void> print_gpu_estimate(const std::filesystem::path& path, const ContextOptions& context,
                                const GpuRequest& request, bool json);

}  // namespace llmrun::cli
