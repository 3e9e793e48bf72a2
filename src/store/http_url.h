// URLs of http and https: taken apart, joined with a redirect's Location, compared, shown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::store {

struct Url {
  std::string text;    // the whole of it, normalised
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; IPv6 in brackets
  uint16_t port = 0;

  [[nodiscard]] bool is_plain() const { return scheme == "http"; }
  // localhost, 127.0.0.0/8, [::1]: bytes to it do not leave this machine.
  [[nodiscard]] bool is_loopback() const;
  // Same scheme, host and port: the only place that what is secret may be sent again.
  [[nodiscard]] bool same_origin(const Url& other) const;
  // For messages: without the query, which may hold a signature.
  [[nodiscard]] std::string shown() const;
};

// kUsage for anything that is not an http or https URL with a host. A user name or password inside
// the URL is refused: it would end up in logs.
Result<Url> parse_url(std::string_view text);
// The URL that `location` means when `base` answered it; kNetwork when it makes no sense.
Result<Url> resolve_location(const Url& base, std::string_view location);
// Percent-encodes all but letters, digits and "-._~".
std::string encode_query_value(std::string_view text);

}  // namespace llmrun::store
