// A web server inside a test: one function answers every request; bodies can be cut or delayed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmrun::test {

struct ServedRequest {
  std::string method;
  std::string target;                          // "/path?query"
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  // The range asked for, when there is one.
  [[nodiscard]] std::optional<std::pair<uint64_t, uint64_t>> range() const;
};

struct ServedResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  size_t cut_after = std::string::npos;  // bytes of the body, then the connection is closed
  double stall_seconds = 0.0;            // after cut_after bytes, before the connection is closed
};

class TestServer {
 public:
  using Handler = std::function<ServedResponse(const ServedRequest&)>;
  explicit TestServer(Handler handler);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // "http://127.0.0.1:1234/path"; `host` may be another name of this machine.
  [[nodiscard]] std::string url(const std::string& path,
                                const std::string& host = "127.0.0.1") const;
  [[nodiscard]] std::vector<ServedRequest> requests() const;

 private:
  void serve(int connection);

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  std::vector<ServedRequest> requests_;
  std::vector<std::jthread> connections_;
  std::jthread acceptor_;
};

// The file, as a server does that knows ranges.
ServedResponse serve_file(const ServedRequest& request, const std::string& content);

}  // namespace llmrun::test
