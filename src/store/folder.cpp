// Folders of the stores; see folder.h.
#include "store/folder.h"

#include <system_error>

#include "base/error.h"

namespace llmrun::store {

Result<void> make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return {};
  return make_error(ErrorCode::kIo, "cannot create the folder {}: {}", folder.string(),
                    error.message());
}

}  // namespace llmrun::store
