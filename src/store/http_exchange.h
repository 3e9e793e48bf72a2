// One request to one address, as libcurl does it: what http_client.cpp is made of.
#pragma once

#include <curl/curl.h>

#include <string>

#include "store/http_client.h"

namespace llmrun::store {

// Without redirects, without a second try. `authorization` is a header value or empty.
HttpOutcome exchange(CURL* curl, const HttpRequest& request, const HttpOptions& options,
                     const Url& url, const std::string& authorization);

HttpOutcome failed(Error error, bool is_transient);

}  // namespace llmrun::store
