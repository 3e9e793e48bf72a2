// Reflinks, hard links, symbolic links; see link_file.h.
#include "store/link_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>
#include <system_error>

#include "base/error.h"
#include "base/file_io.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

bool reflink(const fs::path& from, const fs::path& to) {
  const auto source = open_regular_file(from.string());
  if (!source) return false;
  const std::string temporary = to.string() + ".link.tmp";
  {
    const FileDescriptor copy(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (copy.is_open() && ioctl(copy.get(), FICLONE, source->get()) == 0 &&
        fsync(copy.get()) == 0 && rename(temporary.c_str(), to.c_str()) == 0) {
      return true;
    }
  }
  (void)unlink(temporary.c_str());
  return false;
}

}  // namespace

Result<void> check_is_gguf(const fs::path& file) {
  constexpr std::string_view kMagic = "GGUF";
  LLMRUN_ASSIGN(const FileDescriptor opened, open_regular_file(file.string()));
  char magic[kMagic.size()] = {};
  if (pread(opened.get(), magic, sizeof magic, 0) == sizeof magic &&
      std::string_view(magic, sizeof magic) == kMagic) {
    return {};
  }
  return make_error(ErrorCode::kBadModel, "{} is not a GGUF file", file.string());
}

Result<LinkKind> link_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  const fs::path original = fs::canonical(from, error);
  if (error) return make_error(ErrorCode::kNotFound, "there is no file {}", from.string());
  if (reflink(original, to)) return LinkKind::kReflink;
  fs::create_hard_link(original, to, error);
  if (!error) return LinkKind::kHardLink;
  fs::create_symlink(original, to, error);
  if (!error) return LinkKind::kSymbolic;
  return make_error(ErrorCode::kIo, "cannot link {} to {}: {}", to.string(), original.string(),
                    error.message());
}

}  // namespace llmrun::store
