// The HTTP client against a server that answers as told: where secrets go, what is tried again.
#include "store/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "base/error.h"
#include "test_server.h"

namespace llmrun::store {
namespace {

using test::ServedRequest;
using test::ServedResponse;
using test::TestServer;
using testing::HasSubstr;

HttpOptions quick() {
  HttpOptions options;
  options.first_wait_seconds = 0.01;
  options.max_wait_seconds = 0.05;
  options.stall_seconds = 1;
  options.max_tries = 3;
  return options;
}

class FixedAuthorization : public HttpAuthorization {
 public:
  std::string value() override { return value_; }
  Result<bool> renew(const std::string&, const std::string& challenge) override {
    challenge_ = challenge;
    value_ = "Bearer second";
    return true;
  }
  std::string value_ = "Bearer first";
  std::string challenge_;
};

TEST(HttpUrl, TakesApartAndJoins) {
  const Url url = parse_url("HTTPS://Example.ORG/a/b?q=1#f").value();
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 443);
  EXPECT_EQ(url.shown(), "https://Example.ORG/a/b") << url.text;
  EXPECT_EQ(resolve_location(url, "/c").value().shown(), "https://Example.ORG/c");
  EXPECT_EQ(resolve_location(url, "http://127.1/x").value().host, "127.0.0.1");
  for (const char* text : {"ftp://a/b", "file:///etc/passwd", "http://", "http://u:p@host/", "",
                           "http://a b/", "gopher://x", "http://a%7Fb/"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_FALSE(resolve_location(url, "file:///etc/passwd"));
  EXPECT_TRUE(parse_url("http://127.8.9.1:5000/").value().is_loopback());
  EXPECT_TRUE(parse_url("http://[::1]/").value().is_loopback());
  EXPECT_FALSE(parse_url("http://127.0.0.1.example.org/").value().is_loopback());
  EXPECT_FALSE(url.same_origin(parse_url("http://example.org:443/").value()));
}

TEST(HttpClient, PlainHttpOnlyToThisMachine) {
  const HttpClient client(quick());
  const auto response = client.send({.url = "http://192.0.2.1/x"});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::kUsage);
  EXPECT_THAT(response.error().message, HasSubstr("--insecure"));
}

TEST(HttpClient, AuthorizationStaysWithItsOrigin) {
  TestServer other([](const ServedRequest&) { return ServedResponse{.body = "there"}; });
  TestServer server([&](const ServedRequest& request) {
    if (request.target == "/same") return ServedResponse{307, {{"Location", "/away"}}};
    return ServedResponse{302, {{"Location", other.url("/file", "localhost")}}};
  });
  const HttpClient client(quick());
  const auto authorization = std::make_shared<FixedAuthorization>();
  const auto response = client.fetch({.url = server.url("/same"), .authorization = authorization});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "there");
  EXPECT_EQ(server.requests().at(0).headers.count("authorization"), 1U);
  EXPECT_EQ(server.requests().at(1).headers.count("authorization"), 1U);
  EXPECT_EQ(other.requests().at(0).headers.count("authorization"), 0U);
}

TEST(HttpClient, AnswersAChallengeOnce) {
  const auto authorization = std::make_shared<FixedAuthorization>();
  TestServer server([&](const ServedRequest& request) {
    if (request.headers.at("authorization") == "Bearer second") return ServedResponse{.body = "in"};
    return ServedResponse{401, {{"WWW-Authenticate", "Bearer realm=\"x\""}}};
  });
  const HttpClient client(quick());
  EXPECT_EQ(client.fetch({.url = server.url("/"), .authorization = authorization})->body, "in");
  EXPECT_EQ(authorization->challenge_, "Bearer realm=\"x\"");
}

TEST(HttpClient, TransientFailuresAreTriedAgain) {
  std::atomic<int> n = 0;
  TestServer server([&](const ServedRequest&) {
    const int i = n++;
    if (i == 0) return ServedResponse{.status = 503};
    if (i == 1) return ServedResponse{429, {{"Retry-After", "1"}}};
    return ServedResponse{.body = "fine"};
  });
  const HttpClient client(quick());
  EXPECT_EQ(client.fetch({.url = server.url("/")})->body, "fine");
  EXPECT_EQ(n, 3);
}

TEST(HttpClient, GivesUpWithWords) {
  TestServer server([&](const ServedRequest& request) {
    if (request.target == "/none") return ServedResponse{404, {}, "no \x1b[31msuch thing"};
    if (request.target == "/loop") return ServedResponse{302, {{"Location", "/loop"}}};
    if (request.target == "/long") return ServedResponse{.body = std::string(5000, 'x')};
    return ServedResponse{.status = 500};
  });
  const HttpClient client(quick());
  const auto broken = client.fetch({.url = server.url("/broken?secret")});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::kNetwork);
  EXPECT_THAT(broken.error().message, HasSubstr("tried 3 times"));
  EXPECT_THAT(broken.error().context, HasSubstr("/broken"));
  EXPECT_THAT(broken.error().context, testing::Not(HasSubstr("secret")));
  const auto none = client.fetch({.url = server.url("/none")});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr("no [31msuch thing"));
  EXPECT_THAT(client.fetch({.url = server.url("/loop")}).error().message, HasSubstr("redirects"));
  const auto too_long = client.fetch({.url = server.url("/long"), .max_body_bytes = 4999});
  ASSERT_FALSE(too_long);
  EXPECT_THAT(too_long.error().message, HasSubstr("4999"));
}

TEST(HttpClient, StallsAndCancellingEndARequest) {
  TestServer server([](const ServedRequest&) {
    return ServedResponse{.body = std::string(100, 'x'), .cut_after = 10, .stall_seconds = 20.0};
  });
  const HttpClient client(quick());
  const HttpOutcome stalled = client.try_once({.url = server.url("/")});
  ASSERT_FALSE(stalled.response);
  EXPECT_TRUE(stalled.is_transient);
  HttpOptions options = quick();
  options.stall_seconds = 60;
  std::atomic<int> n_asked = 0;
  options.cancelled = [&] { return ++n_asked > 1; };
  const HttpClient cancelled(options);
  EXPECT_EQ(cancelled.send({.url = server.url("/")}).error().code, ErrorCode::kInterrupted);
}

}  // namespace
}  // namespace llmrun::store
