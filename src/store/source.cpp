// The table of sources; see source.h.
#include "store/source.h"

#include <array>

#include "base/error.h"
#include "store/http_client.h"
#include "store/paths.h"

namespace llmrun::store {

#define LLMRUN_SOURCE(name) std::unique_ptr<Source> make_##name##_source();
#include "store/sources.def"
#undef LLMRUN_SOURCE

bool is_offline(const SourceOptions& options) {
  return options.offline || is_switched_on("HF_HUB_OFFLINE") || is_switched_on("LLMRUN_OFFLINE");
}

HttpOptions http_options(const SourceOptions& options) {
  HttpOptions http;
  http.offline = is_offline(options);
  http.insecure = options.insecure;
  http.stall_seconds = options.stall_seconds;
  http.max_tries = options.max_tries;
  http.cancelled = options.cancelled;
  return http;
}

Result<RemoteModel> Source::locate(const std::string& name, const SourceOptions&) const {
  return make_error(ErrorCode::kUnsupported, "{} cannot be looked at before it is here", name);
}

Result<StoredModel> Source::fetch(const std::string& name, const SourceOptions&) const {
  return make_error(ErrorCode::kUnsupported, "{} cannot be fetched", name);
}

std::span<const std::unique_ptr<Source>> all_sources() {
  static const std::array sources = {
#define LLMRUN_SOURCE(name) make_##name##_source(),
#include "store/sources.def"
#undef LLMRUN_SOURCE
  };
  return sources;
}

}  // namespace llmrun::store
