// The Hugging Face hub; see hf_hub.h.
#include "store/hf_hub.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file_io.h"
#include "store/hf_cache.h"
#include "store/model_name.h"
#include "store/paths.h"

namespace llmrun::store {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kHub = "https://huggingface.co";
constexpr size_t kMaxPages = 200;     // of a repository's tree; a page has up to 1000 entries
constexpr size_t kMaxFiles = 20'000;  // GGUF files of one repository
constexpr size_t kMaxTokenBytes = 4096;
constexpr size_t kDateLength = 10;

// A field of an object when it is there and of the kind; else the empty value.
std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto field = object.find(key);
  return field != object.end() && field->is_string() ? field->get<std::string>() : "";
}

std::optional<uint64_t> number_at(const Json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto field = object.find(key);
  if (field == object.end() || !field->is_number_unsigned()) return std::nullopt;
  return field->get<uint64_t>();
}

tl::unexpected<Error> strange_answer(const HttpResponse& response, std::string_view what) {
  auto error =
      make_error(ErrorCode::kNetwork,
                 "the hub's answer is not the {} it should be; is HF_ENDPOINT right?", what);
  error.value().context = response.url.shown();
  return error;
}

Result<Json> parse(const HttpResponse& response, std::string_view what) {
  Json json = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return strange_answer(response, what);
  return json;
}

// The address that stands for the next page: Link: <https://…>; rel="next".
std::string next_page(const HttpResponse& response) {
  const std::string header = response.header("link");
  const size_t rel = header.find("rel=\"next\"");
  if (rel == std::string::npos) return "";
  const size_t end = header.rfind('>', rel);
  const size_t begin = end == std::string::npos ? end : header.rfind('<', end);
  return begin == std::string::npos ? "" : header.substr(begin + 1, end - begin - 1);
}

std::string main_commit(const Json& refs) {
  if (!refs.is_object() || !refs.contains("branches") || !refs["branches"].is_array()) return "";
  std::string first;
  for (const Json& branch : refs["branches"]) {
    std::string commit = text_at(branch, "targetCommit");
    if (!is_commit(commit)) continue;
    if (text_at(branch, "name") == "main") return commit;
    if (first.empty()) first = commit;
  }
  return first;
}

// Adds the GGUF files of one page of the tree. A path that leads away is no model of ours.
void add_files(const Json& tree, std::vector<HfFile>& files) {
  for (const Json& entry : tree) {
    HfFile file{text_at(entry, "path"), number_at(entry, "size").value_or(0), ""};
    if (text_at(entry, "type") != "file" || !lower(file.path).ends_with(".gguf")) continue;
    if (!is_safe_path(file.path) || files.size() >= kMaxFiles) continue;
    if (entry.contains("lfs")) {
      const std::string digest = text_at(entry["lfs"], "oid");
      const bool is_hex = digest.find_first_not_of("0123456789abcdef") == std::string::npos;
      if (digest.size() == 64 && is_hex) file.sha256 = digest;
      file.size = number_at(entry["lfs"], "size").value_or(file.size);
    }
    files.push_back(std::move(file));
  }
}

}  // namespace

std::string hf_endpoint() {
  std::string endpoint = environment("MODEL_ENDPOINT");
  if (endpoint.empty()) endpoint = environment("HF_ENDPOINT");
  if (endpoint.empty()) endpoint = kHub;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

std::string hf_token() {
  std::string token = environment("HF_TOKEN");
  if (token.empty()) {
    const std::string path = environment("HF_TOKEN_PATH");
    const auto text =
        read_file(path.empty() ? (hf_home() / "token").string() : path, kMaxTokenBytes);
    if (text) token = *text;
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  // What is no token is not sent: a line break in it would be a header of its own.
  const bool is_plain = std::all_of(token.begin(), token.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
  });
  return is_plain ? token : "";
}

HfHub::HfHub(const HttpClient& client) : client_(client), endpoint_(hf_endpoint()) {
  const std::string token = hf_token();
  if (!token.empty()) token_ = fixed_authorization("Bearer " + token);
}

// The hub says 401 of a repository that is not there, so that nobody learns which private ones are.
Result<HttpResponse> HfHub::get(const std::string& url, const HfName& name) const {
  HttpRequest request;
  request.url = url;
  request.authorization = token_;
  request.headers = {"Accept: application/json"};
  LLMRUN_ASSIGN(HttpResponse response, client_.send(request));
  if (response.status == 401 || response.status == 403 || response.status == 404) {
    return make_error(
        ErrorCode::kNotFound,
        "the hub {} gives no {} (status {}): it is not there, or it is private or "
        "gated and wants {}",
        endpoint_, name.repository(), response.status,
        token_ ? "another token than that in HF_TOKEN" : "a token with access in HF_TOKEN");
  }
  if (!response.is_success()) return http_status_error(response);
  return response;
}

Result<HfRepository> HfHub::repository(const HfName& name) const {
  const std::string api = fmt::format("{}/api/models/{}", endpoint_, name.repository());
  LLMRUN_ASSIGN(const HttpResponse refs, get(api + "/refs", name));
  LLMRUN_ASSIGN(const Json branches, parse(refs, "list of branches"));
  HfRepository repository;
  repository.commit = main_commit(branches);
  if (repository.commit.empty()) return strange_answer(refs, "list of branches");
  std::string page = fmt::format("{}/tree/{}?recursive=true", api, repository.commit);
  std::set<std::string> seen;
  while (!page.empty()) {
    if (!seen.insert(page).second || seen.size() > kMaxPages) {
      return make_error(ErrorCode::kNetwork, "the hub's list of files of {} has no end",
                        name.repository());
    }
    LLMRUN_ASSIGN(const HttpResponse response, get(page, name));
    LLMRUN_ASSIGN(const Json tree, parse(response, "list of files"));
    if (!tree.is_array()) return strange_answer(response, "list of files");
    add_files(tree, repository.files);
    page = next_page(response);
    if (page.empty()) break;
    LLMRUN_ASSIGN(const Url here, parse_url(endpoint_));
    LLMRUN_ASSIGN(const Url there, resolve_location(here, page));
    if (!there.same_origin(here)) {  // it would get the token
      return make_error(ErrorCode::kNetwork, "the hub's list of files goes on at another host: {}",
                        there.shown());
    }
    page = there.text;
  }
  return repository;
}

std::string HfHub::file_url(const HfName& name, const std::string& commit,
                            const std::string& path) const {
  std::string url = fmt::format("{}/{}/resolve/{}", endpoint_, name.repository(), commit);
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    url += "/" + encode_query_value(rest.substr(0, slash));
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return url;
}

Result<std::vector<HfSearchHit>> HfHub::search(const std::string& words, int limit) const {
  HttpRequest request;
  request.url =
      fmt::format("{}/api/models?search={}&filter=gguf&sort=downloads&direction=-1&limit={}",
                  endpoint_, encode_query_value(words), limit);
  request.authorization = token_;
  request.headers = {"Accept: application/json"};
  LLMRUN_ASSIGN(const HttpResponse response, client_.fetch(request));
  LLMRUN_ASSIGN(const Json found, parse(response, "list of models"));
  if (!found.is_array()) return strange_answer(response, "list of models");
  std::vector<HfSearchHit> hits;
  for (const Json& model : found) {
    if (hits.size() >= static_cast<size_t>(limit)) break;
    const auto name = parse_hf_name("hf:" + text_at(model, "id"));
    if (!name || !name->quant.empty() || !name->file.empty()) continue;
    hits.push_back({name->repository(), number_at(model, "downloads").value_or(0),
                    number_at(model, "likes").value_or(0),
                    printable(text_at(model, "lastModified"), kDateLength)});
  }
  return hits;
}

}  // namespace llmrun::store
