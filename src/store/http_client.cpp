// Redirects, logins and tries around single exchanges; see http_client.h.
#include "store/http_client.h"

#include <charconv>
#include <mutex>

#include "base/error.h"
#include "store/http_exchange.h"

namespace llmrun::store {
namespace {

constexpr int kMaxRedirects = 10;

// Where an answer sends us; nothing: nowhere.
std::optional<std::string> location_of(const HttpRequest& request, const HttpResponse& response) {
  const int status = response.status;
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const bool moves = status == 307 || status == 308 ||
                     (reads && (status == 301 || status == 302 || status == 303));
  if (!moves || !request.follow_redirects) return std::nullopt;
  return response.header("location");
}

// A public server has no business to send us to this machine's own services, nor from https to
// http.
Result<void> check_redirect(const Url& from, const Url& to, const HttpOptions& options) {
  const bool weaker = to.is_plain() && !from.is_plain() && !options.insecure;
  if (!weaker && (from.is_loopback() || !to.is_loopback())) return {};
  return make_error(ErrorCode::kNetwork, "{} redirects to {}, which is not allowed: {}",
                    from.shown(), to.shown(),
                    weaker ? "it leaves https" : "it leads back to this machine");
}

}  // namespace

// Idle handles, each with its open connections.
class HttpClient::Connections {
 public:
  ~Connections() {
    for (CURL* const curl : idle_) curl_easy_cleanup(curl);
  }
  CURL* take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return curl_easy_init();
    CURL* const curl = idle_.back();
    idle_.pop_back();
    return curl;
  }
  void give_back(CURL* curl) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(curl);
  }

 private:
  std::mutex mutex_;
  std::vector<CURL*> idle_;
};

std::string HttpResponse::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

std::optional<uint64_t> HttpResponse::content_length() const {
  const std::string text = header("content-length");
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return length;
}

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)), connections_(std::make_unique<Connections>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

HttpClient::~HttpClient() = default;

HttpOutcome HttpClient::try_once(const HttpRequest& request) const {
  auto first = parse_url(request.url);
  if (!first) return failed(first.error(), false);
  if (options_.offline) return failed(offline_error(first->shown()).value(), false);
  CURL* const curl = connections_->take();
  if (curl == nullptr) return failed({ErrorCode::kInternal, "libcurl gives no handle", ""}, false);
  const std::unique_ptr<CURL, std::function<void(CURL*)>> guard(
      curl, [this](CURL* handle) { connections_->give_back(handle); });
  Url url = *first;
  bool renewed = false;
  for (int n_redirects = 0; n_redirects <= kMaxRedirects;) {
    const bool is_home = request.authorization != nullptr && url.same_origin(*first);
    const std::string authorization = is_home ? request.authorization->value() : std::string();
    HttpOutcome outcome = exchange(curl, request, options_, url, authorization);
    if (!outcome.response) return outcome;
    if (outcome.response->status == 401 && is_home && !renewed) {
      renewed = true;
      auto renewal =
          request.authorization->renew(authorization, outcome.response->header("www-authenticate"));
      if (!renewal) return failed(renewal.error(), false);
      if (*renewal) continue;
    }
    const auto location = location_of(request, *outcome.response);
    if (!location) return outcome;
    auto next = resolve_location(url, *location);
    if (!next) return failed(next.error(), false);
    if (auto allowed = check_redirect(url, *next, options_); !allowed) {
      return failed(allowed.error(), false);
    }
    url = *next;
    ++n_redirects;
  }
  return failed({ErrorCode::kNetwork, fmt::format("more than {} redirects", kMaxRedirects),
                 fmt::format("{} {}", request.method, first->shown())},
                false);
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request) const {
  BackOff back_off(options_);
  for (int n_unreachable = 0;;) {
    HttpOutcome outcome = try_once(request);
    n_unreachable += outcome.is_unreachable ? 1 : 0;
    if (!outcome.is_transient || n_unreachable == 2) return std::move(outcome.response);
    LLMRUN_TRY(back_off.wait(outcome, request.cancelled));
  }
}

Result<HttpResponse> HttpClient::fetch(const HttpRequest& request) const {
  LLMRUN_ASSIGN(HttpResponse response, send(request));
  if (!response.is_success()) return http_status_error(response);
  return response;
}

}  // namespace llmrun::store
