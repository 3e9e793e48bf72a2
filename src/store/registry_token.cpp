// Token challenges; see registry_token.h.
#include "store/registry_token.h"

#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "store/docker_login.h"
#include "store/paths.h"

namespace llmrun::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxTokenAnswerBytes = 256 * 1024;
constexpr size_t kMaxTokenBytes = 64 * 1024;

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() <= word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if ((text[i] | 0x20) != word[i]) return false;
  }
  return text[word.size()] == ' ';
}

// `key="value"` or `key=value`, taken from the front of `text`; false at the end or at nonsense.
bool take_parameter(std::string_view& text, std::string& key, std::string& value) {
  const size_t begin = text.find_first_not_of(" ,\t");
  if (begin == std::string_view::npos) return false;
  text.remove_prefix(begin);
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  key = text.substr(0, equals);
  text.remove_prefix(equals + 1);
  value.clear();
  if (!text.starts_with('"')) {
    const size_t end = std::min(text.find(','), text.size());
    value = text.substr(0, end);
    text.remove_prefix(end);
    return true;
  }
  for (text.remove_prefix(1); !text.empty(); text.remove_prefix(1)) {
    if (text.front() == '"') {
      text.remove_prefix(1);
      return true;
    }
    if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
    value += text.front();
  }
  return false;
}

std::string token_url(const BearerChallenge& challenge) {
  std::string url = challenge.realm;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](std::string_view name, std::string_view value) {
    url += fmt::format("{}{}={}", separator, name, encode_query_value(value));
    separator = '&';
  };
  if (!challenge.service.empty()) add("service", challenge.service);
  std::string_view scopes = challenge.scope;
  while (!scopes.empty()) {
    const size_t end = std::min(scopes.find(' '), scopes.size());
    if (end > 0) add("scope", scopes.substr(0, end));
    scopes.remove_prefix(std::min(end + 1, scopes.size()));
  }
  return url;
}

class RegistryAuthorization : public HttpAuthorization {
 public:
  RegistryAuthorization(const HttpClient& client, std::string registry)
      : client_(client.options()), registry_(std::move(registry)) {
    const char* const token = std::getenv("LLMRUN_REGISTRY_TOKEN");
    if (token != nullptr && *token != '\0') {
      value_ = fmt::format("Bearer {}", token);
      is_fixed_ = true;
    }
  }

  std::string value() override {
    const std::lock_guard lock(mutex_);
    return value_;
  }

  Result<bool> renew(const std::string& used, const std::string& text) override {
    const std::lock_guard lock(mutex_);
    if (is_fixed_) return false;
    if (value_ != used) return true;  // another connection was faster
    LLMRUN_ASSIGN(const Url registry, parse_url(registry_));
    const std::string login = docker_login(registry);
    if (starts_with_word(text, "basic")) {
      if (login.empty()) return no_login(registry);
      value_ = login;
      return value_ != used;
    }
    const auto challenge = parse_bearer_challenge(text);
    if (!challenge) return false;
    LLMRUN_TRY(check_realm(challenge->realm));
    HttpRequest request;
    if (!login.empty()) request.authorization = fixed_authorization(login);
    request.url = token_url(*challenge);
    request.max_body_bytes = kMaxTokenAnswerBytes;
    LLMRUN_ASSIGN(const HttpResponse response, client_.fetch(request));
    const Json json = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
    for (const char* key : {"token", "access_token"}) {
      if (!json.is_object() || !json.contains(key) || !json[key].is_string()) continue;
      const std::string token = json[key].get<std::string>();
      const bool usable = !token.empty() && token.size() <= kMaxTokenBytes &&
                          token.find_first_of(" \r\n") == std::string::npos;
      if (!usable) break;
      value_ = "Bearer " + token;
      return true;
    }
    return make_error(ErrorCode::kNetwork, "{} answered without a token",
                      printable(challenge->realm));
  }

 private:
  static tl::unexpected<Error> no_login(const Url& registry) {
    return make_error(ErrorCode::kNetwork,
                      "{} wants a user name and a password, and {} has none for it; log in first: "
                      "docker login {}:{}",
                      registry.shown(), registry_logins_file().string(), registry.host,
                      registry.port);
  }

  // A registry may keep its tokens on another host, but not send us to this machine's services.
  Result<void> check_realm(const std::string& realm) const {
    LLMRUN_ASSIGN(const Url to, parse_url(realm));
    LLMRUN_ASSIGN(const Url from, parse_url(registry_));
    const bool weaker = to.is_plain() && !from.is_plain() && !client_.options().insecure;
    if (!weaker && (from.is_loopback() || !to.is_loopback())) return {};
    return make_error(ErrorCode::kNetwork, "{} wants its tokens fetched from {}, which is not safe",
                      from.shown(), to.shown());
  }

  const HttpClient client_;  // its own: the authorization may outlive the caller's
  const std::string registry_;
  std::mutex mutex_;
  std::string value_;
  bool is_fixed_ = false;
};

}  // namespace

std::optional<BearerChallenge> parse_bearer_challenge(std::string_view text) {
  if (!starts_with_word(text, "bearer")) return std::nullopt;
  text.remove_prefix(std::string_view("bearer ").size());
  BearerChallenge challenge;
  std::string key;
  std::string value;
  while (take_parameter(text, key, value)) {
    if (key == "realm") challenge.realm = value;
    if (key == "service") challenge.service = value;
    if (key == "scope") challenge.scope = value;
  }
  if (challenge.realm.empty()) return std::nullopt;
  return challenge;
}

std::shared_ptr<HttpAuthorization> make_registry_authorization(const HttpClient& client,
                                                               const std::string& registry) {
  return std::make_shared<RegistryAuthorization>(client, registry);
}

}  // namespace llmrun::store
