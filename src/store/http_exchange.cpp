// One exchange on libcurl's easy interface; see http_exchange.h.
#include "store/http_exchange.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "store/model_name.h"

namespace llmrun::store {
namespace {

constexpr long kReceiveBufferBytes = 512 * 1024;  // libcurl's largest: fewer writes to the file
constexpr size_t kMaxHeaderBytes = 128 * 1024;
constexpr size_t kMaxErrorBodyBytes = 64 * 1024;

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_transient_status(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
         status == 503 || status == 504;
}

bool is_transient_code(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

// What to do about it, when there is something.
std::string_view advice_for(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return "; is the network up, and the host's name right?";
    case CURLE_COULDNT_CONNECT:
      return "; is the server running, and is a proxy needed (https_proxy)?";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return "; a company's own certificate can be named in SSL_CERT_FILE";
    default:
      return "";
  }
}

// One exchange on its way: what the callbacks of libcurl see.
struct Transfer {
  const HttpRequest& request;
  const HttpOptions& options;
  HttpResponse response;
  std::optional<Error> error;  // set by a callback that stopped the transfer
  size_t n_header_bytes = 0;
  uint64_t n_sent = 0;
  bool head_was_seen = false;

  [[nodiscard]] bool is_cancelled() const {
    return (options.cancelled && options.cancelled()) || (request.cancelled && request.cancelled());
  }
  bool stop(Error reason) {
    error = std::move(reason);
    return false;
  }
  bool see_head() {
    if (head_was_seen) return true;
    head_was_seen = true;
    if (!response.is_success() || !request.on_head) return true;
    auto result = request.on_head(response);
    return result ? true : stop(std::move(result.error()));
  }
};

// libcurl calls this with one header line at a time, each status line starting a new head.
size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  transfer.n_header_bytes += line.size();
  if (transfer.n_header_bytes > kMaxHeaderBytes) {
    transfer.stop({ErrorCode::kNetwork, "the head of the answer is too long", ""});
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    transfer.response.headers.clear();
    const size_t space = line.find(' ');
    const std::string_view digits =
        space == std::string_view::npos ? std::string_view() : line.substr(space + 1, 3);
    transfer.response.status = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), transfer.response.status);
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    transfer.response.headers.emplace_back(lower(trim(line.substr(0, colon))),
                                           std::string(trim(line.substr(colon + 1))));
  }
  return line.size();
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t n = size * count;
  if (!transfer.see_head()) return 0;
  if (transfer.response.is_success() && transfer.request.sink) {
    auto result = transfer.request.sink({reinterpret_cast<const std::byte*>(data), n});
    if (result) return n;
    transfer.stop(std::move(result.error()));
    return 0;
  }
  std::string& body = transfer.response.body;
  if (!transfer.response.is_success()) {  // only for the message: the rest is not worth an error
    body.append(data, std::min(n, kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, body.size())));
    return n;
  }
  if (body.size() + n > transfer.request.max_body_bytes) {
    transfer.stop({ErrorCode::kNetwork,
                   fmt::format("the answer is longer than the {} bytes allowed for it",
                               transfer.request.max_body_bytes),
                   ""});
    return 0;
  }
  body.append(data, n);
  return n;
}

size_t on_send(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const HttpRequest& request = transfer.request;
  const size_t room = size * count;
  if (request.file_descriptor < 0) {
    const size_t n = std::min<size_t>(room, request.body.size() - transfer.n_sent);
    std::memcpy(data, request.body.data() + transfer.n_sent, n);
    transfer.n_sent += n;
    return n;
  }
  const size_t n = std::min<uint64_t>(room, request.file_size - transfer.n_sent);
  ssize_t n_read = 0;
  do {
    n_read = pread(request.file_descriptor, data, n,
                   static_cast<off_t>(request.file_offset + transfer.n_sent));
  } while (n_read < 0 && errno == EINTR);
  if (n_read < 0 || (n_read == 0 && n > 0)) {
    transfer.stop({ErrorCode::kIo, "cannot read the file that is being sent", ""});
    return CURL_READFUNC_ABORT;
  }
  transfer.n_sent += static_cast<uint64_t>(n_read);
  return static_cast<size_t>(n_read);
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.is_cancelled()) return 1;
  if (!transfer.request.tick) return 0;
  auto result = transfer.request.tick();
  return result || transfer.stop(std::move(result.error())) ? 0 : 1;
}

struct HeaderList {
  curl_slist* list = nullptr;
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list); }
  void add(const std::string& line) {
    // No header can smuggle in another one.
    if (line.find_first_of("\r\n") == std::string::npos)
      list = curl_slist_append(list, line.c_str());
  }
};

void set_body(CURL* curl, Transfer& transfer) {
  const HttpRequest& request = transfer.request;
  const bool sends =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    return;
  }
  if (!sends) {
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (request.method != "GET") {
      curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    return;
  }
  const uint64_t size =
      request.file_descriptor >= 0 ? request.file_size : uint64_t{request.body.size()};
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
  curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
}

void set_certificates(CURL* curl) {
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
    const char* const file = std::getenv(name);
    if (file != nullptr && *file != '\0') curl_easy_setopt(curl, CURLOPT_CAINFO, file);
  }
}

Result<void> check_scheme(const Url& url, const HttpOptions& options) {
  if (!url.is_plain() || options.insecure || url.is_loopback()) return {};
  return make_error(ErrorCode::kUsage,
                    "{} is plain http, which anyone on the way can read and change; use https, or "
                    "allow it with --insecure",
                    url.shown());
}

HttpOutcome outcome_of(CURL* curl, CURLcode code, const char* detail, Transfer& transfer) {
  const HttpRequest& request = transfer.request;
  const std::string where = fmt::format("{} {}", request.method, transfer.response.url.shown());
  if (transfer.error) {
    if (transfer.error->context.empty() && transfer.error->code == ErrorCode::kNetwork) {
      transfer.error->context = where;
    }
    return failed(std::move(*transfer.error), false);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    return failed({ErrorCode::kInterrupted, "interrupted", ""}, false);
  }
  if (code != CURLE_OK) {
    const std::string reason = detail[0] != '\0' ? detail : curl_easy_strerror(code);
    HttpOutcome outcome =
        failed({ErrorCode::kNetwork, printable(reason) + std::string(advice_for(code)), where},
               is_transient_code(code));
    outcome.is_unreachable = code == CURLE_COULDNT_RESOLVE_HOST ||
                             code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT;
    return outcome;
  }
  curl_off_t retry_after = 0;
  curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after);
  const int status = transfer.response.status;
  if (!transfer.see_head()) return failed(std::move(*transfer.error), false);
  return {std::move(transfer.response), is_transient_status(status),
          static_cast<double>(retry_after)};
}

}  // namespace

HttpOutcome failed(Error error, bool is_transient) {
  return {tl::unexpected<Error>(std::move(error)), is_transient, 0.0};
}

HttpOutcome exchange(CURL* curl, const HttpRequest& request, const HttpOptions& options,
                     const Url& url, const std::string& authorization) {
  if (auto allowed = check_scheme(url, options); !allowed) return failed(allowed.error(), false);
  Transfer transfer{request, options, {}, {}, 0, 0, false};
  transfer.response.url = url;
  if (transfer.is_cancelled()) return failed({ErrorCode::kInterrupted, "interrupted", ""}, false);
  HeaderList headers;
  for (const std::string& line : request.headers) headers.add(line);
  headers.add("Expect:");  // no wait for "100 Continue", which some servers never send
  if (!authorization.empty()) headers.add("Authorization: " + authorization);
  if (request.range) {
    headers.add(fmt::format("Range: bytes={}-{}", request.range->first, request.range->second));
  }
  char detail[CURL_ERROR_SIZE] = "";
  curl_easy_reset(curl);
  set_body(curl, transfer);
  curl_easy_setopt(curl, CURLOPT_URL, url.text.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "llmrun");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                   static_cast<long>(options.connect_timeout_seconds));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_seconds));
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  if (url.is_loopback()) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  set_certificates(curl);
  const CURLcode code = curl_easy_perform(curl);
  return outcome_of(curl, code, detail, transfer);
}

}  // namespace llmrun::store
