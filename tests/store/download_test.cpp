// Downloads that are cut, continued, ignored, wrong: what is at the target is right or not there.
#include "store/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/file_io.h"
#include "base/sha256.h"
#include "base/temporary_folder.h"
#include "store/block_checks.h"
#include "store/partial_file.h"
#include "test_server.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using test::ServedRequest;
using test::ServedResponse;
using test::TestServer;
using testing::HasSubstr;

std::string noise(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525U + 1013904223U;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

std::string digest_of(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text))).value();
}

class DownloadTest : public testing::Test {
 protected:
  // Long enough that a machine with much else to do is not taken for a connection that stalls.
  Result<DownloadReport> fetch(const std::string& url, int stall_seconds = 20) {
    HttpOptions options;
    options.first_wait_seconds = 0.01;
    options.max_wait_seconds = 0.05;
    options.stall_seconds = stall_seconds;
    options.max_tries = 4;
    const HttpClient client(options);
    return download(client, {.name = "test",
                             .url = url,
                             .size = content_.size(),
                             .sha256 = digest_,
                             .target = target_,
                             .checks = folder_ / "checks"});
  }
  void expect_complete() {
    EXPECT_EQ(read_text(target_), content_);
    size_t n_files = 0;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      n_files += entry.path().filename().string().find("partial") != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(n_files, 0U) << "part files stay behind";
  }
  void write_part(int n, uint64_t offset, uint64_t size, uint64_t completed) {
    write_text(target_.string() + fmt::format("-partial-{}", n),
               fmt::format(R"({{"N":{},"Offset":{},"Size":{},"Completed":{}}})", n, offset, size,
                           completed));
  }

  test::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  const std::string content_ = noise(40'000'000);  // three parts
  const std::string digest_ = digest_of(content_);
  const fs::path target_ = folder_ / ("sha256-" + digest_);
};

TEST_F(DownloadTest, ComesInRanges) {
  TestServer server([&](const ServedRequest& r) { return serve_file(r, content_); });
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->received, content_.size());
  expect_complete();
  EXPECT_EQ(server.requests().size(), 3U);
  EXPECT_TRUE(fetch(server.url("/blob"))->was_there);
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(DownloadTest, CutsAndStallsCostOnlyWhatDidNotCome) {
  std::atomic<int> n = 0;
  TestServer server([&](const ServedRequest& request) {
    ServedResponse response = serve_file(request, content_);
    if (n++ < 6) response.cut_after = 3'000'000;
    if (n == 2) response.stall_seconds = 30.0;
    return response;
  });
  const auto report = fetch(server.url("/blob"), 2);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->received, content_.size());
  expect_complete();
}

TEST_F(DownloadTest, GoesOnWithWhatOllamaBegan) {
  // Two parts, as Ollama writes them: one whole, one half.
  write_text(target_.string() + "-partial", content_.substr(0, 20'000'000) +
                                                content_.substr(20'000'000, 10'000'000) +
                                                std::string(10'000'000, '\0'));
  write_part(0, 0, 20'000'000, 20'000'000);
  write_part(1, 20'000'000, 20'000'000, 10'000'000);
  TestServer server([&](const ServedRequest& r) { return serve_file(r, content_); });
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->resumed, 30'000'000U);
  EXPECT_EQ(report->received, 10'000'000U);
  expect_complete();
}

TEST_F(DownloadTest, PartFilesThatMakeNoSenseCostOnlyTheirOwnBytes) {
  write_text(target_.string() + "-partial", content_.substr(0, 30'000'000));
  write_part(0, 0, 10'000'000, 10'000'000);
  write_text(target_.string() + "-partial-1", "{\"N\":1,\"Offs");
  write_part(2, 20'000'000, 20'000'000, 20'000'000);  // says more than the file holds
  write_part(3, 5'000'000, 10'000'000, 10'000'000);   // overlaps
  write_part(4, 0, 1ULL << 60U, 5);
  TestServer server([&](const ServedRequest& r) { return serve_file(r, content_); });
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->resumed, 20'000'000U);
  EXPECT_EQ(report->received, 20'000'000U);
  expect_complete();
}

TEST_F(DownloadTest, KilledAndContinued) {
  std::atomic<bool> slow = true;
  TestServer server([&](const ServedRequest& request) {
    ServedResponse response = serve_file(request, content_);
    if (slow) {
      response.cut_after = 4'000'000;
      response.stall_seconds = 30.0;
    }
    return response;
  });
  const pid_t child = fork();
  if (child == 0) {
    HttpOptions options;
    const HttpClient client(options);
    (void)download(client, {.name = "test",
                            .url = server.url("/blob"),
                            .size = content_.size(),
                            .sha256 = digest_,
                            .target = target_});
    _exit(0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(4000));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(fs::exists(target_));
  slow = false;
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->resumed, 12'000'000U);
  expect_complete();
}

TEST_F(DownloadTest, ServerWithoutRanges) {
  std::atomic<int> n = 0;
  TestServer server([&](const ServedRequest&) {
    ServedResponse response{.body = content_};
    if (n++ < 3) response.cut_after = 15'000'000 + 1'000'000 * static_cast<size_t>(n);
    return response;
  });
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->received, content_.size());
  expect_complete();
}

TEST_F(DownloadTest, RedirectIsRememberedAndRenewed) {
  std::atomic<int> n_redirects = 0;
  std::atomic<int> n_served = 0;
  TestServer cdn([&](const ServedRequest& request) {
    const bool is_first_signature = request.target.ends_with("s=1");  // good for one request
    if (is_first_signature && n_served++ > 0) return ServedResponse{.status = 403};
    return serve_file(request, content_);
  });
  TestServer server([&](const ServedRequest&) {
    const std::string signature = "/signed?s=" + std::to_string(++n_redirects);
    return ServedResponse{307, {{"Location", cdn.url(signature, "localhost")}}};
  });
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  expect_complete();
  EXPECT_GE(n_redirects, 2);
}

TEST_F(DownloadTest, WrongBytesAreFoundAndOnlyTheyAreWritten) {
  std::atomic<int> n = 0;
  TestServer server([&](const ServedRequest& request) {
    ServedResponse response = serve_file(request, content_);
    if (n++ == 1) response.body[1000] = static_cast<char>(response.body[1000] + 1);
    return response;
  });
  const auto report = fetch(server.url("/blob"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->received, 2 * content_.size());
  expect_complete();
}

TEST_F(DownloadTest, AnotherFileIsRefused) {
  std::string other = content_;
  other[7] = static_cast<char>(other[7] + 1);
  TestServer server([&](const ServedRequest& r) { return serve_file(r, other); });
  const auto report = fetch(server.url("/blob"));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kNetwork);
  EXPECT_THAT(report.error().message, HasSubstr(digest_));
  EXPECT_TRUE(fs::is_empty(folder_));
  TestServer longer([&](const ServedRequest& r) { return serve_file(r, content_ + "x"); });
  EXPECT_THAT(fetch(longer.url("/blob")).error().message, HasSubstr("40000001"));
}

TEST_F(DownloadTest, TwoProcessesShareOne) {
  TestServer server([&](const ServedRequest& r) { return serve_file(r, content_); });
  Result<DownloadReport> first;
  Result<DownloadReport> second;
  {
    std::jthread one([&] { first = fetch(server.url("/blob")); });
    std::jthread two([&] { second = fetch(server.url("/blob")); });
  }
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->was_there, second->was_there);
  EXPECT_EQ(first->received + second->received, content_.size());
  expect_complete();
}

TEST_F(DownloadTest, DiskSpaceIsCheckedFirst) {
  const auto result = check_disk_space(folder_, uint64_t{1} << 60U, "a model");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kIo);
  EXPECT_TRUE(check_disk_space(folder_, 1000, "a model"));
}

TEST_F(DownloadTest, BlockChecksFindTheBadBlock) {
  TestServer server([&](const ServedRequest& r) { return serve_file(r, content_); });
  ASSERT_TRUE(fetch(server.url("/blob")));
  const auto checks = load_block_checks(folder_ / "checks", content_.size());
  ASSERT_TRUE(checks) << checks.error().message;
  const auto bad_of = [&](const std::string& text) {
    write_text(folder_ / "copy", text);
    const std::string path = folder_ / "copy";
    const auto file = open_regular_file(path);
    return find_bad_blocks(*file, path, *checks, digest_, [](uint64_t) { return Result<void>(); })
        .value();
  };
  const uint64_t block = checks->block_bytes;
  EXPECT_TRUE(bad_of(content_).empty());
  std::string text = content_;
  text[block + 5] ^= 1;
  EXPECT_EQ(bad_of(text), (std::vector<ByteRange>{{block, block}}));
  text = content_;
  text.back() ^= 1;
  EXPECT_EQ(bad_of(text), (std::vector<ByteRange>{{2 * block, content_.size() - 2 * block}}));
  EXPECT_FALSE(load_block_checks(folder_ / "checks", content_.size() + 1));
}

}  // namespace
}  // namespace llmrun::store
