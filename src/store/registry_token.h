// What a registry wants to see: the answer to "401, WWW-Authenticate: Bearer realm=…" or "Basic …".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "store/http_client.h"

namespace llmrun::store {

struct BearerChallenge {
  std::string realm;
  std::string service;
  std::string scope;  // words separated by blanks
};

// Nothing when it is another kind of challenge or makes no sense.
std::optional<BearerChallenge> parse_bearer_challenge(std::string_view text);

// Asks the realm for a token when a registry wants one, with the login that `docker login` left
// (docker_login.h), else anonymously; a registry that wants Basic gets that login itself.
// $LLMRUN_REGISTRY_TOKEN, when set, is sent as it is instead.
std::shared_ptr<HttpAuthorization> make_registry_authorization(const HttpClient& client,
                                                               const std::string& registry);

}  // namespace llmrun::store
