// A path of a GGUF file: used where it is.
#include <cstdlib>
#include <system_error>

#include "store/source.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

class FileSource : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override { return !name.empty(); }
  [[nodiscard]] std::string where() const override { return "files"; }

  [[nodiscard]] std::optional<StoredModel> find(const std::string& name) const override {
    std::error_code error;
    const fs::path path(name);
    if (!fs::exists(path, error) || fs::is_directory(path, error)) return std::nullopt;
    StoredModel model;
    model.name = name;
    model.file = path;
    model.size = fs::file_size(path, error);  // of a pipe: an error, which the reader tells
    model.place = kPlaceOfFiles;
    return model;
  }
};

}  // namespace

std::unique_ptr<Source> make_file_source() { return std::make_unique<FileSource>(); }

}  // namespace llmrun::store
