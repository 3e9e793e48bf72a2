// Options that several commands share: which model, on what, with which context.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cli/fetch_flags.h"
#include "cli/option_table.h"
#include "llmrun/model.h"
#include "llmrun/model_info.h"
#include "store/model_layers.h"

namespace llmrun::cli {

// FILE or FILE:SCALE; a file whose name has the colon goes first.
Result<AdapterOption> parse_adapter(std::string_view text);

// A number of layers; "auto" leaves the target empty.
void add_number_or_auto(OptionTable& options, std::string name, std::string help,
                        std::optional<int64_t>* target);

// --rope-scaling, --rope-factor, --rope-base, --rope-original-context.
void add_rope_options(OptionTable& options, RopeOverride* rope);

// --threads, --device, --gpu-layers, --cpu-experts, --split-mode, --strict-device, --cpu-target,
// --adapter, the options of rope and those of FetchFlags; and what travels with the model that is
// loaded.
struct LoadFlags {
  FetchFlags fetch;
  int64_t threads = 0;
  LoadOptions load;
  store::ModelLayers layers;  // of the model that find() found
  void add_to(OptionTable& options);
  // The file behind a path or a name. The model's adapters go before those of --adapter, and its
  // Go template is remembered. `context` as in FetchFlags; and layers on a GPU leave room for it.
  Result<std::filesystem::path> find(const std::string& name, const ContextOptions& context = {});
  [[nodiscard]] LoadOptions value() const;
};

// --ctx, --batch, --kv-type, --k-type, --v-type.
struct ContextFlags {
  ContextOptions context;
  void add_to(OptionTable& options, bool with_context_size = true);
};

}  // namespace llmrun::cli
