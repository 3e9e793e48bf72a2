// The lock of a store; see store_lock.h.
#include "store/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <string>

#include "base/error.h"
#include "store/folder.h"

namespace llmrun::store {
namespace {

Result<FileDescriptor> open_lock(const std::filesystem::path& root) {
  LLMRUN_TRY(make_folder(root));
  const std::string path = root / "lock";
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.is_open()) return system_error("cannot create", path);
  return file;
}

}  // namespace

Result<FileDescriptor> lock_for_adding(const std::filesystem::path& root) {
  LLMRUN_ASSIGN(FileDescriptor file, open_lock(root));
  while (flock(file.get(), LOCK_SH) != 0) {
    if (errno != EINTR) return system_error("cannot lock", root.string());
  }
  return file;
}

Result<FileDescriptor> lock_for_deleting(const std::filesystem::path& root) {
  LLMRUN_ASSIGN(FileDescriptor file, open_lock(root));
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return system_error("cannot lock", root.string());
    return make_error(ErrorCode::kIo,
                      "another llmrun is adding to the store {} just now; nothing was deleted: try "
                      "again when it is done",
                      root.string());
  }
  return file;
}

}  // namespace llmrun::store
