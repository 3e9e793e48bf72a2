// modules.json lists steps: a transformer, a pooling, perhaps a normalisation.
#include "convert/pooling.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/tokenizer/vocabulary.h"

namespace llmrun::convert {
namespace {

// The numbers of the format's pooling_type.
constexpr std::pair<const char*, uint32_t> kPoolings[] = {
    {"pooling_mode_mean_tokens", 1},
    {"pooling_mode_cls_token", 2},
    {"pooling_mode_lasttoken", 3},
};

void set_pooling(const Config& pooling, Conversion& c) {
  for (const auto& [key, type] : kPoolings) {
    if (!pooling.flag(key, false)) continue;
    c.set("pooling_type", type);
    return;
  }
  c.fail(ErrorCode::kUnsupported,
         "the pooling of this embedding model is none of mean, cls and last token");
}

// A name out of modules.json is a folder below, never a way out.
bool is_plain_folder(const std::string& name) {
  return !name.empty() && name.size() < 256 && name.front() != '/' && name.front() != '.' &&
         name.find("..") == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

Result<void> read_pooling(const std::string& folder, Conversion& c) {
  LLMRUN_ASSIGN(const JsonDocument modules,
                read_json_if_there(folder + "/modules.json", kMaxConfigBytes));
  if (modules == nullptr) return {};
  if (!modules->is_array()) {
    return make_error(ErrorCode::kBadModel, "modules.json is no list of modules");
  }
  bool normalises = false;
  for (const Json& module : *modules) {
    const std::string type = text_of(module, "type");
    const std::string path = text_of(module, "path");
    if (type.ends_with(".Normalize")) {
      normalises = true;
    } else if (type.ends_with(".Pooling") && is_plain_folder(path)) {
      const std::string file = fmt::format("{}/{}/config.json", folder, path);
      LLMRUN_ASSIGN(const JsonDocument document, read_json(file, kMaxConfigBytes));
      const Config pooling(document, file);
      set_pooling(pooling, c);
      LLMRUN_TRY(pooling.result());
    } else if (!type.ends_with(".Transformer")) {
      return make_error(ErrorCode::kUnsupported,
                        "modules.json names the step \"{}\", which GGUF cannot express",
                        type.substr(0, 128));
    }
  }
  c.set("normalize_embeddings", normalises);
  return {};
}

}  // namespace llmrun::convert
