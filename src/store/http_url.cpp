// URLs through libcurl's parser, so that what is checked is what is asked for.
#include "store/http_url.h"

#include <curl/curl.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace llmrun::store {
namespace {

constexpr size_t kMaxUrlBytes = 8192;  // signed CDN addresses reach 2 kB

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part(const Handle& handle, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle.get(), what, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// curl takes "%7F" in a host for the character it stands for. No host has other characters than
// these, and with them the address would not be the same when it is read again.
bool is_host(std::string_view host) {
  return !host.empty() && host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._:[]") ==
                              std::string_view::npos;
}

// False: not a URL that may be used. `reason` then says why.
bool take_apart(const Handle& handle, Url& url, std::string& reason) {
  url.scheme = lower(part(handle, CURLUPART_SCHEME));
  url.host = lower(part(handle, CURLUPART_HOST));
  const std::string port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.port = static_cast<uint16_t>(std::strtoul(port.c_str(), nullptr, 10));
  if (url.scheme != "http" && url.scheme != "https") {
    reason = "it is neither http nor https";
  } else if (!is_host(url.host) || url.port == 0) {
    reason = "it names no host";
  } else if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty()) {
    reason = "it holds a user name or a password";
  }
  if (!reason.empty()) return false;
  (void)curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0);
  url.text = part(handle, CURLUPART_URL);
  return true;
}

std::string without_query(std::string_view text) {
  return std::string(text.substr(0, text.find('?')));
}

}  // namespace

bool Url::is_loopback() const {
  if (host == "localhost" || host == "[::1]") return true;
  // curl's parser has turned every spelling of an IPv4 address into four decimal numbers.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

bool Url::same_origin(const Url& other) const {
  return scheme == other.scheme && host == other.host && port == other.port;
}

std::string Url::shown() const { return without_query(text); }

Result<Url> parse_url(std::string_view text) {
  const Handle handle(curl_url(), &curl_url_cleanup);
  std::string reason;
  Url url;
  if (text.size() > kMaxUrlBytes) {
    reason = "it is too long";
  } else if (const auto code =
                 curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0);
             code != CURLUE_OK) {
    reason = curl_url_strerror(code);
  } else if (take_apart(handle, url, reason)) {
    return url;
  }
  return make_error(ErrorCode::kUsage, "{} is not a usable address: {}",
                    without_query(text.substr(0, 200)), reason);
}

Result<Url> resolve_location(const Url& base, std::string_view location) {
  const Handle handle(curl_url(), &curl_url_cleanup);
  std::string reason;
  Url url;
  if (location.empty() || location.size() > kMaxUrlBytes ||
      curl_url_set(handle.get(), CURLUPART_URL, base.text.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(location).c_str(), 0) != CURLUE_OK) {
    reason = "it is not a URL";
  } else if (take_apart(handle, url, reason)) {
    return url;
  }
  return make_error(ErrorCode::kNetwork, "{} redirects to an address that cannot be used: {}",
                    base.shown(), reason);
}

std::string encode_query_value(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace llmrun::store
