// The shared steps.
#include "convert/families/common.h"

#include "base/error.h"

namespace llmrun::convert {

std::string block(int64_t layer, std::string_view name) {
  return fmt::format("blk.{}.{}", layer, name);
}

void rename_layers(Conversion& c, int64_t n_layers, std::string_view layers,
                   std::initializer_list<Rename> renames) {
  for (int64_t i = 0; i < n_layers && c.ok(); ++i) {
    for (const Rename& one : renames) {
      const std::string from = fmt::format("{}.{}.{}", layers, i, one.from);
      if (one.required) {
        c.rename(from, block(i, one.to), one.precision);
      } else {
        c.rename_if_there(from, block(i, one.to), one.precision);
      }
    }
  }
}

void require_text(const Config& config, const char* key, std::string_view only) {
  const std::string found = config.text(key, only);
  if (found == only) return;
  config.fail(ErrorCode::kUnsupported, fmt::format("{} is \"{}\"; only \"{}\" can be converted",
                                                   key, found.substr(0, 64), only));
}

}  // namespace llmrun::convert
