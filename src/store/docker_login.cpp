// The file of logins: {"auths": {"host:port": {"auth": "<base64 of user:password>"}}}.
#include "store/docker_login.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file_io.h"
#include "store/model_name.h"
#include "store/paths.h"

namespace llmrun::store {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 20;
constexpr size_t kMaxLoginBytes = 4096;

// "https://Host:5000/v1/" → "host:5000": tools write addresses in several forms.
std::string host_of_key(std::string_view key) {
  if (const size_t scheme = key.find("://"); scheme != std::string_view::npos) {
    key.remove_prefix(scheme + 3);
  }
  return lower(key.substr(0, key.find('/')));
}

// What is no base64 is not sent: a line break in it would be a header of its own.
bool is_base64(std::string_view text) {
  return !text.empty() && text.size() <= kMaxLoginBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/' || c == '=';
         });
}

}  // namespace

std::string docker_login(const Url& registry) {
  const auto text = read_file(registry_logins_file().string(), kMaxFileBytes);
  if (!text) return "";
  const Json file = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto logins = file.is_object() ? file.find("auths") : file.end();
  if (!file.is_object() || logins == file.end() || !logins->is_object()) return "";
  const bool is_usual_port = registry.port == (registry.is_plain() ? 80 : 443);
  const std::string with_port = fmt::format("{}:{}", registry.host, registry.port);
  for (const auto& [key, login] : logins->items()) {
    const std::string host = host_of_key(key);
    if (host != with_port && !(is_usual_port && host == registry.host)) continue;
    if (!login.is_object() || !login.contains("auth") || !login["auth"].is_string()) continue;
    const std::string value = login["auth"].get<std::string>();
    if (is_base64(value)) return "Basic " + value;
  }
  return "";
}

}  // namespace llmrun::store
