// Reading, mapping, atomic writing and appending of files.
#include "base/file_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/mapped_file.h"
#include "base/temporary_folder.h"

namespace llmrun {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(FileIo, WritesAndReads) {
  const TemporaryFolder folder;
  const std::string text("one\0two\n", 8);
  ASSERT_TRUE(write_file_atomic(folder.file("a"), text));
  ASSERT_TRUE(write_file_atomic(folder.file("a"), text));  // replaces
  EXPECT_EQ(read_file(folder.file("a"), 8).value(), text);
  EXPECT_EQ(folder.n_files(), 1U);  // no temporary file stays
}

TEST(FileIo, ALimitIsALimit) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.file("a"), "123456789"));
  EXPECT_TRUE(read_file(folder.file("a"), 9));
  const auto refused = read_file(folder.file("a"), 8);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kIo);
  EXPECT_THAT(refused.error().message, HasSubstr("larger than the 8 B"));
  // Says size 0, yet is not empty: only the read loop can see its length.
  EXPECT_GT(read_file("/proc/self/status", 1 << 20).value().size(), 100U);
  EXPECT_FALSE(read_file("/proc/self/status", 16));
}

TEST(FileIo, ErrorsAreTyped) {
  const TemporaryFolder folder;
  const auto missing = read_file(folder.file("none"), 10);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr(folder.file("none")));
  EXPECT_EQ(read_file(folder.path(), 10).error().code, ErrorCode::kIo);
  EXPECT_THAT(read_file(folder.path(), 10).error().message, HasSubstr("is a folder"));
  EXPECT_EQ(write_file_atomic(folder.file("no/such/a"), "x").error().code, ErrorCode::kNotFound);
  ASSERT_EQ(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_file(folder.file("pipe"), 10).error().code, ErrorCode::kIo);  // and no waiting
}

TEST(FileIo, AnAbandonedFileLeavesNothing) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.file("a"), "old"));
  {
    auto file = AtomicFile::create(folder.file("a"));
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("new and unfinished"));
    auto moved = std::move(*file);
    ASSERT_TRUE(moved.write("still"));
  }
  EXPECT_EQ(read_file(folder.file("a"), 100).value(), "old");
  EXPECT_EQ(folder.n_files(), 1U);
}

TEST(FileIo, PermissionsAreThoseAskedFor) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.file("secret"), "x", 0600));
  struct stat status {};
  ASSERT_EQ(::stat(folder.file("secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(FileIo, Appends) {
  const TemporaryFolder folder;
  ASSERT_TRUE(append_file(folder.file("log"), "one\n", true));
  ASSERT_TRUE(append_file(folder.file("log"), "two\n", false));
  EXPECT_EQ(read_file(folder.file("log"), 100).value(), "one\ntwo\n");
}

// A process that is killed while it replaces a file over and over: the file is always whole.
TEST(FileIo, AKillNeverTearsAFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("state");
  ASSERT_TRUE(write_file_atomic(path, std::string(10'000, 'a')));
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (char c = 'a';; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
        if (!write_file_atomic(path, std::string(10'000, c))) ::_exit(1);
      }
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    const std::string text = read_file(path, 100'000).value();
    ASSERT_EQ(text.size(), 10'000U);
    ASSERT_EQ(std::count(text.begin(), text.end(), text[0]), 10'000);
  }
  // What the killed left behind goes, and nothing else does.
  ASSERT_TRUE(write_file_atomic(folder.file("notes.1.tmp"), "not ours"));
  ASSERT_TRUE(write_file_atomic(folder.file(fmt::format("x.{}.0.tmp", ::getpid())), "running"));
  const size_t n_left = folder.n_files() - 3;
  EXPECT_EQ(remove_stale_temporaries(folder.path()), 0);  // too young
  EXPECT_EQ(remove_stale_temporaries(folder.path(), 0), static_cast<int>(n_left));
  EXPECT_EQ(folder.n_files(), 3U);
  EXPECT_EQ(remove_stale_temporaries(folder.file("none"), 0), 0);
}

TEST(MappedFile, ShowsTheBytes) {
  const TemporaryFolder folder;
  const std::string text(10'000, 'x');
  ASSERT_TRUE(write_file_atomic(folder.file("a"), text));
  auto file = MappedFile::open(folder.file("a"));
  ASSERT_TRUE(file);
  ASSERT_EQ(file->bytes().size(), text.size());
  EXPECT_EQ(file->bytes()[9'999], std::byte{'x'});
  file->advise(MappedFile::Advice::kSequential);
  file->advise(MappedFile::Advice::kDontNeed, 5'000, ~uint64_t{0});
  file->advise(MappedFile::Advice::kDontNeed, 20'000, 5);
  const std::byte* const data = file->bytes().data();
  MappedFile moved(std::move(*file));
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_TRUE(file->bytes().empty());
  MappedFile assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned.bytes()[0], std::byte{'x'});
  EXPECT_EQ(assigned.path(), folder.file("a"));
}

TEST(MappedFile, ErrorsAreTyped) {
  const TemporaryFolder folder;
  EXPECT_EQ(MappedFile::open(folder.file("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(MappedFile::open(folder.path()).error().code, ErrorCode::kIo);
  ASSERT_TRUE(write_file_atomic(folder.file("empty"), ""));
  const auto empty = MappedFile::open(folder.file("empty"));
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->bytes().empty());
}

}  // namespace
}  // namespace llmrun
