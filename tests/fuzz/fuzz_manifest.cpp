// Manifests of registries, and the challenges and URLs that come with them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "store/http_url.h"
#include "store/manifest.h"
#include "store/registry_token.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun::store;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = parse_manifest(text)) {
    // What got through has to be safe for the store, whatever it was.
    for (const Layer& layer : manifest->all_blobs()) {
      if (!is_sha256_hex(layer.sha256) || layer.size > kMaxLayerBytes) std::abort();
    }
    if (manifest->total_bytes() > kMaxLayerBytes) std::abort();
    (void)check_can_run(*manifest, text);
    const auto again = parse_manifest(write_manifest(manifest->config, manifest->layers));
    if (!manifest->config.sha256.empty() && !again) std::abort();
  }
  (void)parse_bearer_challenge(text);
  if (const auto url = parse_url(text)) {
    const auto again = parse_url(url->text);
    if (!again || !again->same_origin(*url)) std::abort();
  }
  return 0;
}
