// A registry that speaks Docker Registry v2, as Ollama's does: manifests and blobs of models.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "store/download.h"
#include "store/http_client.h"
#include "store/manifest.h"
#include "store/model_name.h"

namespace llmrun::store {

// The part of a registry that holds one model.
class Registry {
 public:
  // The host of the name; for the default host, what $LLMRUN_REGISTRY says instead (a mirror:
  // "host", "host:port" or "http://host:port"). Hosts of this machine are spoken to over http
  // unless the name says https.
  static Result<Registry> of(const HttpClient& client, const ModelName& name);

  // Byte for byte as the registry has it. kNotFound names the model.
  Result<std::string> fetch_manifest(const ModelName& name) const;
  // A blob small enough for memory, verified.
  Result<std::string> fetch_small_blob(const Layer& layer) const;
  // Everything download() needs to know about the blob but the place.
  [[nodiscard]] DownloadRequest download_request(const Layer& layer) const;

  Result<bool> has_blob(const Layer& layer) const;
  // Sends the file, in pieces when it is large, unless the registry has it or can take it from
  // another model of its own (`mount_from`: "namespace/model", may be empty).
  // After a failure the upload goes on where the registry says it stopped.
  Result<void> push_blob(const Layer& layer, const std::string& file, const std::string& mount_from,
                         const std::function<void(uint64_t sent)>& progress) const;
  Result<void> push_manifest(const ModelName& name, const std::string& text) const;

  // "http://127.0.0.1:5000"
  [[nodiscard]] const std::string& base() const { return base_; }

 private:
  Registry(const HttpClient& client, std::string base, std::string repository);
  [[nodiscard]] std::string url(const std::string& rest) const;
  [[nodiscard]] HttpRequest request(std::string method, std::string url) const;
  Result<std::string> start_upload(const Layer& layer, const std::string& mount_from) const;
  struct Upload {
    std::string location;  // where the next piece goes; empty: the registry has the blob
    uint64_t sent = 0;
  };
  Result<void> send_pieces(Upload& upload, const Layer& layer, int descriptor,
                           const std::function<void(uint64_t sent)>& progress) const;
  // What the registry says of an upload that was cut; nothing: it has to begin again.
  std::optional<Upload> ask_about(const Upload& upload) const;

  const HttpClient* client_;
  std::string base_;
  std::string repository_;  // "library/smollm2"
  std::shared_ptr<HttpAuthorization> authorization_;
};

}  // namespace llmrun::store
