// From a model's name to its files, by one rule for all commands: what is on this machine is used
// without asking the network; what is not is downloaded after a person agreed to its size, or where
// --yes says so.
#pragma once

#include <filesystem>
#include <string>

#include "cli/option_table.h"
#include "llmrun/error.h"
#include "llmrun/model.h"
#include "store/local_store.h"
#include "store/source.h"

namespace llmrun::cli {

// --offline and --insecure: what may be asked over the network.
struct NetworkFlags {
  bool offline = false, insecure = false;
  void add_to(OptionTable& options);
  // Ctrl-C ends what is asked while an InterruptGuard lives.
  [[nodiscard]] store::SourceOptions value() const;
};

// These and --yes: of the commands that take a model and may have to fetch it.
struct FetchFlags {
  NetworkFlags network;
  bool yes = false;
  void add_to(OptionTable& options);
  // kUsage where it would have to be fetched and nobody can be asked. Whether it fits into the
  // memory is told of a context as `context` says.
  [[nodiscard]] Result<store::StoredModel> find(const std::string& name,
                                                const ContextOptions& context = {}) const;
  // Only its file: for commands that need nothing that travels with it.
  [[nodiscard]] Result<std::filesystem::path> find_file(const std::string& name) const;
};

}  // namespace llmrun::cli
