// A GGUF file at a plain address; fetched into llmrun's store.
#include <charconv>
#include <system_error>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"
#include "store/download.h"
#include "store/folder.h"
#include "store/paths.h"
#include "store/remote_header.h"
#include "store/source.h"
#include "store/store_lock.h"
#include "store/url_name.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

// "bytes 0-0/1234" → 1234.
std::optional<uint64_t> total_in(std::string_view content_range) {
  const std::string_view text = content_range.substr(content_range.rfind('/') + 1);
  uint64_t total = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), total);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return total;
}

// The size of the file, asked for with its first byte: not every server knows HEAD. `tag` tells one
// version of the file from another.
Result<uint64_t> ask_size(const HttpClient& client, const std::string& url, std::string& tag) {
  HttpRequest request;
  request.url = url;
  request.range = {0, 0};
  std::optional<uint64_t> size;
  bool has_head = false;
  request.on_head = [&](const HttpResponse& response) -> Result<void> {
    size = response.status == 206 ? total_in(response.header("content-range"))
                                  : response.content_length();
    tag = response.header("etag") + response.header("last-modified");
    has_head = true;
    return make_error(ErrorCode::kInterrupted, "enough");
  };
  BackOff back_off(client.options());
  while (true) {
    const HttpOutcome outcome = client.try_once(request);
    if (size && *size > 0) return *size;
    if (has_head) {
      return make_error(ErrorCode::kNetwork, "the server does not say how large {} is", url);
    }
    LLMRUN_TRY(back_off.wait(outcome));
  }
}

class UrlSource : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override { return is_gguf_url(name); }
  [[nodiscard]] std::string where() const override {
    return fmt::format("llmrun's store {}; the address itself", models_dir().string());
  }
  [[nodiscard]] std::optional<StoredModel> find(const std::string& name) const override {
    if (!speaks(name)) return std::nullopt;
    const auto stored = name_of_url(name);
    return stored ? LocalStore(models_dir()).find(*stored) : std::nullopt;
  }
  [[nodiscard]] bool is_remote() const override { return true; }

  Result<RemoteModel> locate(const std::string& name, const SourceOptions& options) const override {
    std::string tag;
    return locate(name, options, tag);
  }

  Result<StoredModel> fetch(const std::string& name, const SourceOptions& options) const override {
    LLMRUN_ASSIGN(const ModelName stored, name_of_url(name));
    std::string tag;
    LLMRUN_ASSIGN(const RemoteModel model, locate(name, options, tag));
    const LocalStore store(models_dir());
    const std::string seen = fmt::format("{} {} {}", name, model.bytes(), tag);
    LLMRUN_ASSIGN(const std::string version, sha256_hex(std::as_bytes(std::span(seen))));
    // Kept in the config, which tells a later pull whether the address has another file now.
    const std::string config = fmt::format(R"({{"model_format":"gguf","version":"{}"}})", version);
    if (auto here = store.find(stored); here && has_config(store, *here, config)) {
      return std::move(*here);
    }
    LLMRUN_TRY(RemoteHeader::read(model, options));  // a GGUF file, not a page about one
    if (options.approve) LLMRUN_TRY(options.approve(model.name, model.bytes()));
    const fs::path target = store.root() / "tmp" / ("url-" + version);
    LLMRUN_TRY(bring(model, target, options));
    LLMRUN_ASSIGN(const std::string digest, sha256_file(target));
    LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_adding(store.root()));
    LLMRUN_TRY(keep(store, target, digest));
    LLMRUN_TRY(store.publish(stored, digest, model.bytes(), config));
    if (auto found = store.find(stored)) return std::move(*found);
    return make_error(ErrorCode::kIo, "{} was fetched and is gone again", name);
  }

 private:
  static bool has_config(const LocalStore& store, const StoredModel& model,
                         const std::string& config) {
    const auto manifest = store.manifest_of(model);
    const auto digest = sha256_hex(std::as_bytes(std::span(config)));
    return manifest && digest && manifest->config.sha256 == *digest;
  }

  static Result<RemoteModel> locate(const std::string& name, const SourceOptions& options,
                                    std::string& tag) {
    LLMRUN_TRY(name_of_url(name));
    const HttpClient client(http_options(options));
    LLMRUN_ASSIGN(const uint64_t size, ask_size(client, name, tag));
    RemoteModel model;
    model.name = name;
    model.files.push_back({name, name, size, ""});
    return model;
  }

  // A plain address tells no digest: the size is checked, and the version that was begun.
  static Result<void> bring(const RemoteModel& model, const fs::path& target,
                            const SourceOptions& options) {
    LLMRUN_TRY(make_folder(target.parent_path()));
    const HttpClient client(http_options(options));
    DownloadRequest request;
    request.name = model.files.front().name.substr(model.files.front().name.rfind('/') + 1);
    request.url = model.files.front().url;
    request.size = model.bytes();
    request.target = target;
    LLMRUN_TRY(download(client, request));
    return {};
  }

  static Result<void> keep(const LocalStore& store, const fs::path& file,
                           const std::string& digest) {
    const fs::path blob = store.blob_path(digest);
    LLMRUN_TRY(make_folder(blob.parent_path()));
    std::error_code error;
    fs::rename(file, blob, error);
    if (!error) return sync_folder_of(blob.string());
    return make_error(ErrorCode::kIo, "cannot move the download to {}: {}", blob.string(),
                      error.message());
  }
};

}  // namespace

std::unique_ptr<Source> make_url_source() { return std::make_unique<UrlSource>(); }

}  // namespace llmrun::store
