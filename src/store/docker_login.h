// Logins to registries that `docker login` or `podman login` left on this machine.
#pragma once

#include <string>

#include "store/http_url.h"

namespace llmrun::store {

// The value of an Authorization header ("Basic …") for that registry, as registry_logins_file() has
// it; empty: there is no login. Passwords that a helper program keeps are not seen.
std::string docker_login(const Url& registry);

}  // namespace llmrun::store
