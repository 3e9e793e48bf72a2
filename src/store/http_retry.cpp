// What surrounds a request: when a failed one is tried again, how failures are told, fixed
// authorizations; see http_client.h.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/utf8.h"
#include "store/http_client.h"

namespace llmrun::store {
namespace {

// A factor between 0.5 and 1, so that clients that failed together do not return together.
double jitter() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.5, 1.0)(generator);
}

std::string_view advice_for(int status) {
  switch (status) {
    case 401:
    case 403:
      return "; the model may be private or gated, and want a login or a token";
    case 404:
    case 410:
      return "; check the name and the tag";
    case 413:
      return "; the server does not take files of this size";
    case 429:
      return "; the server wants fewer requests: try again later";
    default:
      return status >= 500 ? "; the fault is the server's: try again later" : "";
  }
}

class FixedAuthorization : public HttpAuthorization {
 public:
  explicit FixedAuthorization(std::string value) : value_(std::move(value)) {}
  std::string value() override { return value_; }
  Result<bool> renew(const std::string&, const std::string&) override { return false; }

 private:
  std::string value_;
};

Error last_error(const HttpOutcome& outcome) {
  if (!outcome.response) return outcome.response.error();
  return http_status_error(*outcome.response).value();
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string result;
  for (size_t i = 0; i < text.size() && result.size() < max_bytes;) {
    const auto character = utf8::decode(text, i);
    const bool is_control = character.code_point < 0x20 ||
                            (character.code_point >= 0x7f && character.code_point < 0xa0);
    if (!character.valid || is_control) {
      if (!result.empty() && result.back() != ' ') result += ' ';
    } else {
      result += text.substr(i, character.length);
    }
    i += character.length;
  }
  return result;
}

std::shared_ptr<HttpAuthorization> fixed_authorization(std::string value) {
  return std::make_shared<FixedAuthorization>(std::move(value));
}

tl::unexpected<Error> offline_error(std::string_view what) {
  return make_error(ErrorCode::kNetwork,
                    "{} is not asked: the network is switched off (--offline, HF_HUB_OFFLINE or "
                    "LLMRUN_OFFLINE)",
                    what);
}

tl::unexpected<Error> http_status_error(const HttpResponse& response) {
  const bool missing = response.status == 404 || response.status == 410;
  const std::string said = printable(response.body);
  auto error =
      make_error(missing ? ErrorCode::kNotFound : ErrorCode::kNetwork, "the server answered {}{}{}",
                 response.status, said.empty() ? std::string() : fmt::format(" ({})", said),
                 advice_for(response.status));
  error.value().context = response.url.shown();
  return error;
}

Result<void> BackOff::wait(const HttpOutcome& outcome, const std::function<bool()>& cancelled) {
  ++n_failures_;
  if (!outcome.is_transient) return tl::unexpected<Error>(last_error(outcome));
  if (n_failures_ >= options_.max_tries) {
    Error error = last_error(outcome);
    error.message += fmt::format(" (tried {} times)", n_failures_);
    return tl::unexpected<Error>(std::move(error));
  }
  double seconds = options_.first_wait_seconds * std::pow(2.0, n_failures_ - 1) * jitter();
  seconds =
      std::clamp(std::max(seconds, outcome.retry_after_seconds), 0.0, options_.max_wait_seconds);
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds));
  while (true) {
    if ((options_.cancelled && options_.cancelled()) || (cancelled && cancelled())) {
      return make_error(ErrorCode::kInterrupted, "interrupted");
    }
    const auto left = end - Clock::now();
    if (left <= left.zero()) return {};
    std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(50)));
  }
}

}  // namespace llmrun::store
