// What a model holds, without its weights; see model_header.h.
#include "cli/model_header.h"

#include "base/error.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

ModelHeader header_of(const store::StoredModel& model) {
  ModelHeader found;
  found.name = model.place == store::kPlaceOfFiles ? model.file.filename().string() : model.name;
  found.file = model.file;
  return found;
}

}  // namespace

tl::unexpected<Error> ModelHeader::explain(Error error) const {
  if (header) error.context = name;
  return tl::unexpected<Error>(std::move(error));
}

Result<ModelHeader> find_header(const std::string& name, const FetchFlags& fetch) {
  if (const auto here = store::find_model_here(name)) return header_of(*here);
  auto remote = read_remote_header(name, fetch.network.value());
  if (remote || remote.error().code != ErrorCode::kUnsupported) return remote;
  LLMRUN_ASSIGN(const store::StoredModel fetched, fetch.find(name));
  return header_of(fetched);
}

Result<ModelHeader> read_remote_header(const std::string& name,
                                       const store::SourceOptions& source) {
  ModelHeader found;
  LLMRUN_ASSIGN(found.remote, store::locate_model(name, source));
  found.name = found.remote->name;
  found.file_bytes = found.remote->bytes();
  LLMRUN_ASSIGN(auto header, store::RemoteHeader::read(*found.remote, source));
  found.file = header.file();
  found.header.emplace(std::move(header));
  return found;
}

}  // namespace llmrun::cli
