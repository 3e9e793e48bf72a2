// The front of a model's files, read over the network by ranges: as much as their metadata and list
// of tensors take. On the disk it looks like the model itself, with holes where the weights would
// be, so everything that only reads the directory of a file works on it as on the whole.
#pragma once

#include <cstdint>
#include <filesystem>

#include "llmrun/error.h"
#include "store/remote.h"
#include "store/source.h"

namespace llmrun::store {

class RemoteHeader {
 public:
  static Result<RemoteHeader> read(const RemoteModel& model, const SourceOptions& options);
  RemoteHeader(RemoteHeader&& other) noexcept
      : folder_(std::move(other.folder_)),
        file_(std::move(other.file_)),
        received_(other.received_) {
    other.folder_.clear();
  }
  RemoteHeader& operator=(RemoteHeader&&) = delete;
  // Removes the files.
  ~RemoteHeader();

  // The first file; the parts of a split model lie beside it.
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  [[nodiscard]] uint64_t received() const { return received_; }  // bytes that were asked for

 private:
  RemoteHeader() = default;

  std::filesystem::path folder_;
  std::filesystem::path file_;
  uint64_t received_ = 0;
};

}  // namespace llmrun::store
