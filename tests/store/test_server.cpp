// A web server inside a test; see test_server.h. One request per connection.
#include "test_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace llmrun::test {
namespace {

void send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Reads one request; false when the connection ended before it did.
bool read_request(int connection, ServedRequest& request) {
  std::string text;
  char buffer[65536];
  size_t end = std::string::npos;
  while ((end = text.find("\r\n\r\n")) == std::string::npos) {
    const ssize_t n = recv(connection, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    text.append(buffer, static_cast<size_t>(n));
  }
  std::string body = text.substr(end + 4);
  text.resize(end + 2);
  size_t line_start = text.find("\r\n") + 2;
  const std::string first = text.substr(0, line_start - 2);
  request.method = first.substr(0, first.find(' '));
  request.target = first.substr(first.find(' ') + 1, first.rfind(' ') - first.find(' ') - 1);
  while (line_start < text.size()) {
    const size_t line_end = text.find("\r\n", line_start);
    const std::string line = text.substr(line_start, line_end - line_start);
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) {
      request.headers[lower(line.substr(0, colon))] = line.substr(colon + 2);
    }
    line_start = line_end + 2;
  }
  const auto length = request.headers.find("content-length");
  const size_t wanted = length == request.headers.end() ? 0 : std::stoul(length->second);
  while (body.size() < wanted) {
    const ssize_t n = recv(connection, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    body.append(buffer, static_cast<size_t>(n));
  }
  request.body = body;
  return true;
}

}  // namespace

std::optional<std::pair<uint64_t, uint64_t>> ServedRequest::range() const {
  const auto it = headers.find("range");
  unsigned long first = 0;
  unsigned long last = 0;
  if (it == headers.end() ||
      std::sscanf(it->second.c_str(), "bytes=%lu-%lu", &first, &last) != 2) {  // NOLINT
    return std::nullopt;
  }
  return std::pair<uint64_t, uint64_t>(first, last);
}

ServedResponse serve_file(const ServedRequest& request, const std::string& content) {
  const auto range = request.range();
  if (!range) return {.status = 200, .headers = {}, .body = content};
  return {.status = 206,
          .headers = {{"Content-Range",
                       fmt::format("bytes {}-{}/{}", range->first, range->second, content.size())}},
          .body = content.substr(range->first, range->second - range->first + 1)};
}

TestServer::TestServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener_, 64) != 0) {
    std::abort();
  }
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] {
    while (!stop_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      connections_.emplace_back([this, connection] { serve(connection); });
    }
  });
}

TestServer::~TestServer() {
  stop_ = true;
  acceptor_.join();
  connections_.clear();
  close(listener_);
}

void TestServer::serve(int connection) {
  ServedRequest request;
  if (read_request(connection, request)) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const ServedResponse response = handler_(request);
    std::string head = fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n",
                                   response.status, response.body.size());
    for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
    send_all(connection, head + "\r\n");
    if (request.method != "HEAD") {
      send_all(connection, std::string_view(response.body).substr(0, response.cut_after));
    }
    for (double waited = 0.0; waited < response.stall_seconds && !stop_; waited += 0.02) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  shutdown(connection, SHUT_RDWR);
  close(connection);
}

std::string TestServer::url(const std::string& path, const std::string& host) const {
  return fmt::format("http://{}:{}{}", host, port_, path);
}

std::vector<ServedRequest> TestServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace llmrun::test
