// Options that several commands share: which model, on what, with which context.
#pragma once

#include <filesystem>
#include <string>

#include "cli/option_table.h"
#include "llmrun/model.h"
#include "llmrun/model_info.h"

namespace llmrun::cli {

// The file behind a path or a name.
Result<std::filesystem::path> find_model(const std::string& name);

// --rope-scaling, --rope-factor, --rope-base, --rope-original-context.
void add_rope_options(OptionTable& options, RopeOverride* rope);

// --threads, --device, --cpu-target and the options of rope.
struct LoadFlags {
  int64_t threads = 0;
  LoadOptions load;
  void add_to(OptionTable& options);
  [[nodiscard]] LoadOptions value() const;
};

// --ctx, --batch, --kv-type, --k-type, --v-type.
struct ContextFlags {
  ContextOptions context;
  void add_to(OptionTable& options, bool with_context_size = true);
};

}  // namespace llmrun::cli
