// HTTP and HTTPS for everything that models are fetched from: redirects that never carry a secret
// to another host, stalls noticed, transient failures tried again, proxies by the usual environment
// variables (http_proxy, https_proxy, all_proxy, no_proxy), certificates always checked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llmrun/error.h"
#include "store/byte_sink.h"
#include "store/http_url.h"

namespace llmrun::store {

struct HttpOptions {
  bool offline = false;   // every request is an error
  bool insecure = false;  // allow plain http to other machines, too
  int connect_timeout_seconds = 20;
  int stall_seconds = 30;  // a transfer that brings no byte for so long is given up and tried anew
  int max_tries = 6;       // failures in a row without any progress
  double first_wait_seconds = 0.5;  // doubles with every failure, with jitter
  double max_wait_seconds = 60.0;   // also the most that a Retry-After is obeyed
  // Asked often, from any thread; true ends what is running with kInterrupted.
  std::function<bool()> cancelled = {};
};

// The Authorization header of one service. Shared by requests that run at the same time.
class HttpAuthorization {
 public:
  virtual ~HttpAuthorization() = default;
  // The header's value ("Bearer …"); empty: none.
  virtual std::string value() = 0;
  // The service answered 401 with this WWW-Authenticate to a request that carried `used`. True:
  // value() is another one now and the request is worth repeating.
  virtual Result<bool> renew(const std::string& used, const std::string& challenge) = 0;
};

// The same value whatever the service answers.
std::shared_ptr<HttpAuthorization> fixed_authorization(std::string value);

struct HttpResponse {
  int status = 0;
  Url url;                                                   // the last one, after redirects
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;  // empty when the request had a sink and the status was 2xx

  [[nodiscard]] bool is_success() const { return status >= 200 && status < 300; }
  [[nodiscard]] std::string header(std::string_view lower_case_name) const;  // empty: not there
  [[nodiscard]] std::optional<uint64_t> content_length() const;
};

// Members have initialisers so that designated initialisers may name only some.
struct HttpRequest {
  std::string method = "GET";  // GET, HEAD, POST, PATCH, PUT, DELETE
  std::string url = {};
  std::vector<std::string> headers = {};                    // "Accept: application/json"
  std::shared_ptr<HttpAuthorization> authorization = {};    // sent to the origin of `url` alone
  std::optional<std::pair<uint64_t, uint64_t>> range = {};  // first and last byte
  // Of a request that sends something: `body`, or bytes of an open file when file_descriptor >= 0.
  std::string body = {};
  int file_descriptor = -1;
  uint64_t file_offset = 0;
  uint64_t file_size = 0;
  // Bodies of 2xx answers go here piece by piece; without it they are kept, up to max_body_bytes.
  ByteSink sink = {};
  uint64_t max_body_bytes = uint64_t{4} << 20;
  // Sees the head of a 2xx answer before its first byte; an error ends the exchange.
  std::function<Result<void>(const HttpResponse&)> on_head = {};
  std::function<bool()> cancelled = {};  // beside that of HttpOptions
  // At least about once a second, also while nothing comes; an error ends the exchange.
  std::function<Result<void>()> tick = {};
  bool follow_redirects = true;
};

// How one try ended. A response may have any status.
struct HttpOutcome {
  Result<HttpResponse> response;
  bool is_transient = false;         // the same request may succeed later
  double retry_after_seconds = 0.0;  // what the server asked for; 0: nothing
  bool is_unreachable = false;       // no connection came about
};

class HttpClient {
 public:
  explicit HttpClient(HttpOptions options = {});
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // One try. Redirects are followed; a 401 is answered through the request's authorization. Any
  // thread may call; connections are kept and used again.
  HttpOutcome try_once(const HttpRequest& request) const;
  // Tries until the outcome is not transient or the tries are used up (two when the server cannot
  // even be reached: a mistyped host or no network should be told soon). Not for requests with a
  // sink, which would see the same bytes twice. Statuses other than 2xx are returned, not errors.
  Result<HttpResponse> send(const HttpRequest& request) const;
  // send(), and http_status_error() for a status that is not 2xx.
  Result<HttpResponse> fetch(const HttpRequest& request) const;

  [[nodiscard]] const HttpOptions& options() const { return options_; }

 private:
  class Connections;
  HttpOptions options_;
  std::unique_ptr<Connections> connections_;
};

// A status that is not a success as an error: kNotFound for 404 and 410, else kNetwork; says the
// address, the status, what the server said about it, and what to do next.
tl::unexpected<Error> http_status_error(const HttpResponse& response);

// Why nothing is asked of `what` when the user said so.
tl::unexpected<Error> offline_error(std::string_view what);

// Waits between the tries of one piece of work.
class BackOff {
 public:
  explicit BackOff(const HttpOptions& options) : options_(options) {}
  // Waits for the next try, or gives the error that ends the work: the outcome is not transient,
  // the tries are used up (the message then says so), or someone cancelled.
  Result<void> wait(const HttpOutcome& outcome, const std::function<bool()>& cancelled = nullptr);
  // The last try brought something: the count starts again.
  void progressed() { n_failures_ = 0; }

 private:
  const HttpOptions& options_;
  int n_failures_ = 0;
};

// A server's words made fit for a message: no control characters, at most `max_bytes`.
std::string printable(std::string_view text, size_t max_bytes = 200);

}  // namespace llmrun::store
