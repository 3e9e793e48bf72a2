// Options that several commands share: which model, on what, with which context.
#pragma once

#include <filesystem>
#include <string>

#include "cli/option_table.h"
#include "llmrun/model.h"
#include "llmrun/model_info.h"
#include "store/model_layers.h"
#include "store/source.h"

namespace llmrun::cli {

// The model behind a path or a name, and only its file.
Result<store::StoredModel> find_stored_model(const std::string& name);
Result<std::filesystem::path> find_model(const std::string& name);

// FILE or FILE:SCALE; a file whose name has the colon goes first.
Result<AdapterOption> parse_adapter(std::string_view text);

// --offline and --insecure: what may be asked over the network.
struct SourceFlags {
  bool offline = false, insecure = false;
  void add_to(OptionTable& options);
  [[nodiscard]] store::SourceOptions value() const;
};

// --rope-scaling, --rope-factor, --rope-base, --rope-original-context.
void add_rope_options(OptionTable& options, RopeOverride* rope);

// --threads, --device, --cpu-target, --adapter and the options of rope, and what travels with the
// model that is loaded.
struct LoadFlags {
  int64_t threads = 0;
  LoadOptions load;
  store::ModelLayers layers;  // of the model that find() found
  void add_to(OptionTable& options);
  // The file behind a path or a name. The model's adapters go before those of --adapter, and its
  // Go template is remembered.
  Result<std::filesystem::path> find(const std::string& name);
  [[nodiscard]] LoadOptions value() const;
};

// --ctx, --batch, --kv-type, --k-type, --v-type.
struct ContextFlags {
  ContextOptions context;
  void add_to(OptionTable& options, bool with_context_size = true);
};

}  // namespace llmrun::cli
