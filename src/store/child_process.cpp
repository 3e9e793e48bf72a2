// Runs other programs; see child_process.h.
#include "store/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"

extern char** environ;

namespace llmrun::store {
namespace {

constexpr int kCouldNotStart = 127;  // as a shell says it
constexpr size_t kPipeBytes = 1 << 16;

// Starts the program with its stdout sent to `stdout_fd`; 0 when it could not be started.
pid_t start(const std::vector<std::string>& arguments, int stdout_fd) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : 0;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return kCouldNotStart;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Reads until the end of the stream or an error of the sink.
Result<void> drain(int fd, const std::function<Result<void>(std::span<const std::byte>)>& sink) {
  std::vector<std::byte> buffer(kPipeBytes);
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n == 0) return {};
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return make_error(ErrorCode::kIo, "cannot read a pipe: {}", std::strerror(errno));
    LLMRUN_TRY(sink({buffer.data(), static_cast<size_t>(n)}));
  }
}

}  // namespace

int run_child(const std::vector<std::string>& arguments) {
  const pid_t pid = start(arguments, STDERR_FILENO);
  return pid == 0 ? kCouldNotStart : wait_for(pid);
}

Result<void> read_from_child(const std::vector<std::string>& arguments,
                             const std::function<Result<void>(std::span<const std::byte>)>& sink) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return make_error(ErrorCode::kIo, "cannot make a pipe: {}", std::strerror(errno));
  }
  const pid_t pid = start(arguments, ends[1]);
  close(ends[1]);
  if (pid == 0) {
    close(ends[0]);
    return make_error(ErrorCode::kNotFound, "cannot start {}; is it installed?", arguments.front());
  }
  auto result = drain(ends[0], sink);
  close(ends[0]);
  if (!result) kill(pid, SIGTERM);
  const int status = wait_for(pid);
  if (result && status != 0) {
    return make_error(ErrorCode::kNetwork, "{} failed with exit status {}", arguments.front(),
                      status);
  }
  return result;
}

}  // namespace llmrun::store
