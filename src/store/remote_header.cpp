// The front of a model's files over the network; see remote_header.h.
#include "store/remote_header.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file_io.h"
#include "gguf/limits.h"
#include "gguf/reader.h"
#include "gguf/split.h"
#include "store/http_client.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

// A vocabulary of 150,000 tokens takes 5 to 8 MB, so most models need three requests; parts of a
// split model behind the first hold only their list of tensors.
constexpr uint64_t kFirstRead = uint64_t{1} << 20;
constexpr uint64_t kFirstReadOfPart = uint64_t{1} << 17;
constexpr uint64_t kMaxHeader = uint64_t{1} << 26;

// Appends bytes [front.size(), end) of the file. A server that ignores ranges is hung up on as soon
// as it has sent enough.
class RangeReader {
 public:
  RangeReader(const HttpClient& client, const RemoteModel& model, const RemoteFile& file)
      : client_(client), model_(model), file_(file) {}

  Result<void> read_to(uint64_t end, std::vector<std::byte>& front) const {
    BackOff back_off(client_.options());
    while (front.size() < end) {
      const uint64_t begin = front.size();
      HttpOutcome outcome = try_once(end, front);
      if (front.size() == end) return {};
      if (front.size() > begin) back_off.progressed();
      if (outcome.response && outcome.response->is_success()) {
        return make_error(ErrorCode::kNetwork, "the server sent {} bytes of {} where {} were asked",
                          front.size() - begin, file_.name, end - begin);
      }
      LLMRUN_TRY(back_off.wait(outcome));
    }
    return {};
  }

 private:
  HttpOutcome try_once(uint64_t end, std::vector<std::byte>& front) const {
    const uint64_t begin = front.size();
    uint64_t to_skip = 0;
    HttpRequest request;
    request.url = file_.url;
    request.authorization = model_.authorization;
    request.range = {begin, end - 1};
    request.on_head = [&, begin](const HttpResponse& response) -> Result<void> {
      if (response.status != 206) {
        to_skip = begin;
        return {};
      }
      const std::string range = response.header("content-range");
      if (range.starts_with(fmt::format("bytes {}-", begin)) &&
          range.ends_with(fmt::format("/{}", file_.size))) {
        return {};
      }
      return make_error(ErrorCode::kNetwork,
                        "the server sent \"{}\" of {}, which has {} bytes, not what was asked",
                        printable(range, 60), file_.name, file_.size);
    };
    request.sink = [&](std::span<const std::byte> bytes) -> Result<void> {
      const uint64_t skipped = std::min<uint64_t>(to_skip, bytes.size());
      to_skip -= skipped;
      bytes = bytes.subspan(skipped);
      bytes = bytes.first(std::min<uint64_t>(bytes.size(), end - front.size()));
      front.insert(front.end(), bytes.begin(), bytes.end());
      if (front.size() < end) return {};
      return make_error(ErrorCode::kInterrupted, "enough");  // read_to() sees that it is enough
    };
    return client_.try_once(request);
  }

  const HttpClient& client_;
  const RemoteModel& model_;
  const RemoteFile& file_;
};

// The bytes up to the end of the list of tensors.
Result<std::vector<std::byte>> read_front(const HttpClient& client, const RemoteModel& model,
                                          const RemoteFile& file, uint64_t first_read) {
  const RangeReader reader(client, model, file);
  std::vector<std::byte> front;
  uint64_t end = std::min(first_read, file.size);
  while (true) {
    LLMRUN_TRY(reader.read_to(end, front));
    auto directory = gguf::find_directory_end(front, file.size);
    if (!directory) return with_context(std::move(directory).error(), file.name);
    if (*directory) return front;
    if (end >= kMaxHeader) {
      return make_error(ErrorCode::kBadModel,
                        "the metadata of {} takes more than {} MiB; download it and look",
                        file.name, kMaxHeader >> 20);
    }
    end = std::min(end * 2, file.size);
  }
}

// A file of the full size that holds `front` and a hole.
Result<void> write_with_hole(const fs::path& path, std::span<const std::byte> front,
                             uint64_t size) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) return system_error("cannot create", path.string());
  LLMRUN_TRY(write_all(file, front, path.string()));
  if (size <= INT64_MAX && ftruncate(file.get(), static_cast<off_t>(size)) == 0) return {};
  return make_error(ErrorCode::kIo, "cannot make room for a file of {} bytes in {}: {}", size,
                    path.parent_path().string(), std::strerror(errno));
}

Result<fs::path> make_temporary_folder() {
  std::error_code error;
  std::string pattern = (fs::temp_directory_path(error) / "llmrun-header-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr) {
    return system_error("cannot create a folder", pattern);
  }
  return fs::path(pattern);
}

}  // namespace

Result<RemoteHeader> RemoteHeader::read(const RemoteModel& model, const SourceOptions& options) {
  const HttpClient client(http_options(options));
  if (model.files.empty() || model.files.size() > gguf::kMaxParts) {
    return make_error(ErrorCode::kBadModel, "{} has {} files", model.name, model.files.size());
  }
  RemoteHeader header;
  LLMRUN_ASSIGN(header.folder_, make_temporary_folder());
  // The names are ours: what a server calls its files is no path here.
  const gguf::SplitName split{(header.folder_ / "model").string(), 1,
                              static_cast<uint32_t>(model.files.size())};
  for (size_t i = 0; i < model.files.size(); ++i) {
    const RemoteFile& file = model.files[i];
    const fs::path path = model.files.size() == 1
                              ? header.folder_ / "model.gguf"
                              : fs::path(gguf::split_path(split, static_cast<uint32_t>(i + 1)));
    if (i == 0) header.file_ = path;
    LLMRUN_ASSIGN(const auto front,
                  read_front(client, model, file, i == 0 ? kFirstRead : kFirstReadOfPart));
    header.received_ += front.size();
    LLMRUN_TRY(write_with_hole(path, front, file.size));
  }
  return header;
}

RemoteHeader::~RemoteHeader() {
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
}

}  // namespace llmrun::store
