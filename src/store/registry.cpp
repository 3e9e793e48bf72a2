// Requests of Docker Registry v2; see registry.h.
#include "store/registry.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"
#include "store/registry_token.h"

namespace llmrun::store {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{64} << 20;  // of an upload, between two answers

std::string with_parameter(const std::string& url, const std::string& parameter) {
  return url + (url.find('?') == std::string::npos ? '?' : '&') + parameter;
}

std::string mirror() {
  const char* const value = std::getenv("LLMRUN_REGISTRY");
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Registry::Registry(const HttpClient& client, std::string base, std::string repository)
    : client_(&client),
      base_(std::move(base)),
      repository_(std::move(repository)),
      authorization_(make_registry_authorization(client, base_)) {}

Result<Registry> Registry::of(const HttpClient& client, const ModelName& name) {
  if (name.host == kCatalogHost) {
    return make_error(ErrorCode::kUsage, "{} is a name of the catalogue; no registry has it",
                      name.text());
  }
  std::string base = name.host == kDefaultHost ? mirror() : std::string();
  bool has_scheme = base.find("://") != std::string::npos;
  if (base.empty()) {
    base = name.scheme + "://" + name.host;
    has_scheme = name.has_scheme;
  } else if (!has_scheme) {
    base.insert(0, "https://");
  }
  while (base.ends_with('/')) base.pop_back();
  LLMRUN_ASSIGN(const Url url, parse_url(base));
  if (!has_scheme && url.is_loopback()) base.replace(0, std::string("https").size(), "http");
  return Registry(client, base, name.name_space + "/" + name.model);
}

std::string Registry::url(const std::string& rest) const {
  return fmt::format("{}/v2/{}/{}", base_, repository_, rest);
}

HttpRequest Registry::request(std::string method, std::string url) const {
  HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  // An upload may be sent to another host, which is not to see the token.
  const auto to = parse_url(request.url);
  const auto home = parse_url(base_);
  if (to && home && to->same_origin(*home)) request.authorization = authorization_;
  return request;
}

Result<std::string> Registry::fetch_manifest(const ModelName& name) const {
  HttpRequest get = request("GET", url("manifests/" + name.tag));
  get.headers = {
      fmt::format("Accept: {}, application/vnd.oci.image.manifest.v1+json", kManifestMediaType)};
  get.max_body_bytes = kMaxManifestBytes;
  LLMRUN_ASSIGN(HttpResponse response, client_->send(get));
  if (response.status == 404) {
    return make_error(ErrorCode::kNotFound, "{} has no model {}; check the name and the tag", base_,
                      name.text());
  }
  if (!response.is_success()) return http_status_error(response);
  const std::string told = response.header("docker-content-digest");
  LLMRUN_ASSIGN(const std::string digest, sha256_hex(std::as_bytes(std::span(response.body))));
  if (told.starts_with("sha256:") && told != "sha256:" + digest) {
    return make_error(ErrorCode::kNetwork,
                      "the manifest that came from {} does not fit its SHA-256; try again", base_);
  }
  return std::move(response.body);
}

Result<std::string> Registry::fetch_small_blob(const Layer& layer) const {
  HttpRequest get = request("GET", url("blobs/" + layer.digest()));
  get.max_body_bytes = layer.size;
  LLMRUN_ASSIGN(HttpResponse response, client_->fetch(get));
  LLMRUN_ASSIGN(const std::string digest, sha256_hex(std::as_bytes(std::span(response.body))));
  if (digest != layer.sha256) {
    return make_error(ErrorCode::kNetwork,
                      "the {} that {} sent does not fit its SHA-256; try again",
                      name_of(layer.kind), base_);
  }
  return std::move(response.body);
}

DownloadRequest Registry::download_request(const Layer& layer) const {
  DownloadRequest download;
  download.name = "pulling " + layer.sha256.substr(0, 12);
  download.url = url("blobs/" + layer.digest());
  download.authorization = authorization_;
  download.size = layer.size;
  download.sha256 = layer.sha256;
  return download;
}

Result<bool> Registry::has_blob(const Layer& layer) const {
  LLMRUN_ASSIGN(const HttpResponse response,
                client_->send(request("HEAD", url("blobs/" + layer.digest()))));
  if (response.is_success()) return true;
  if (response.status == 404) return false;
  return http_status_error(response);
}

// Where to send the bytes; empty: the registry took the blob from the other model.
Result<std::string> Registry::start_upload(const Layer& layer,
                                           const std::string& mount_from) const {
  std::string target = url("blobs/uploads/");
  if (!mount_from.empty() && mount_from != repository_) {
    target =
        with_parameter(target, fmt::format("mount={}&from={}", encode_query_value(layer.digest()),
                                           encode_query_value(mount_from)));
  }
  LLMRUN_ASSIGN(const HttpResponse response, client_->send(request("POST", target)));
  if (response.status == 201) return std::string();
  if (response.status != 202) return http_status_error(response);
  LLMRUN_ASSIGN(const Url location, resolve_location(response.url, response.header("location")));
  return location.text;
}

std::optional<Registry::Upload> Registry::ask_about(const Upload& upload) const {
  const HttpOutcome outcome = client_->try_once(request("GET", upload.location));
  if (!outcome.response || !outcome.response->is_success()) return std::nullopt;
  const HttpResponse& response = *outcome.response;
  const std::string range = response.header("range");  // "0-99", both included
  const size_t dash = range.find('-');
  const auto location = resolve_location(response.url, response.header("location"));
  uint64_t last = 0;
  if (dash == std::string::npos || !location) return std::nullopt;
  const auto [end, error] =
      std::from_chars(range.data() + dash + 1, range.data() + range.size(), last);
  if (error != std::errc()) return std::nullopt;
  return Upload{location->text, last == 0 ? 0 : last + 1};
}

Result<void> Registry::send_pieces(Upload& upload, const Layer& layer, int descriptor,
                                   const std::function<void(uint64_t)>& progress) const {
  BackOff back_off(client_->options());
  while (upload.sent < layer.size) {
    const uint64_t size = std::min(kPieceBytes, layer.size - upload.sent);
    HttpRequest patch = request("PATCH", upload.location);
    patch.headers = {"Content-Type: application/octet-stream",
                     fmt::format("Content-Range: {}-{}", upload.sent, upload.sent + size - 1)};
    patch.file_descriptor = descriptor;
    patch.file_offset = upload.sent;
    patch.file_size = size;
    const HttpOutcome outcome = client_->try_once(patch);
    if (outcome.response && outcome.response->status == 202) {
      LLMRUN_ASSIGN(const Url next,
                    resolve_location(outcome.response->url, outcome.response->header("location")));
      upload = {next.text, upload.sent + size};
      back_off.progressed();
      progress(upload.sent);
      continue;
    }
    LLMRUN_TRY(back_off.wait(outcome));
    const auto there = ask_about(upload);
    if (there && there->sent <= layer.size) {
      upload = *there;
    } else {
      LLMRUN_ASSIGN(upload.location, start_upload(layer, ""));
      upload.sent = 0;
    }
  }
  return {};
}

Result<void> Registry::push_blob(const Layer& layer, const std::string& file,
                                 const std::string& mount_from,
                                 const std::function<void(uint64_t)>& progress) const {
  LLMRUN_ASSIGN(const bool is_there, has_blob(layer));
  if (is_there) return {};
  LLMRUN_ASSIGN(const FileDescriptor source, open_regular_file(file));
  Upload upload;
  LLMRUN_ASSIGN(upload.location, start_upload(layer, mount_from));
  if (upload.location.empty()) return {};
  LLMRUN_TRY(send_pieces(upload, layer, source.get(), progress));
  HttpRequest put = request(
      "PUT", with_parameter(upload.location, "digest=" + encode_query_value(layer.digest())));
  LLMRUN_ASSIGN(const HttpResponse response, client_->send(put));
  if (response.status != 201 && response.status != 204) return http_status_error(response);
  return {};
}

Result<void> Registry::push_manifest(const ModelName& name, const std::string& text) const {
  HttpRequest put = request("PUT", url("manifests/" + name.tag));
  put.headers = {fmt::format("Content-Type: {}", kManifestMediaType)};
  put.body = text;
  LLMRUN_ASSIGN(const HttpResponse response, client_->send(put));
  if (!response.is_success()) return http_status_error(response);
  return {};
}

}  // namespace llmrun::store
