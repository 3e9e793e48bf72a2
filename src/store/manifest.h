// What a registry says a model is made of: a config and layers, each a blob named by its SHA-256.
// The form is that of Docker Registry v2 and OCI image manifests; the layers' media types are
// Ollama's. Everything in it comes from outside.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"

namespace llmrun::store {

enum class LayerKind : uint8_t {
  kConfig,
  kModel,      // a GGUF file
  kTemplate,   // Go text/template
  kParams,     // JSON, names as in a Modelfile
  kSystem,     // text
  kLicense,    // text; there may be several
  kMessages,   // JSON array of {role, content}
  kAdapter,    // LoRA, a GGUF file; there may be several
  kProjector,  // a GGUF file for images or sound
  kDraft,      // a GGUF file that guesses tokens ahead
  kIgnored,    // once written by Ollama, read by nobody
  kForeign,    // parts of a model that is not GGUF
  kUnknown,    // of a type that this program does not know
};

struct Layer {
  LayerKind kind = LayerKind::kIgnored;
  std::string media_type;
  std::string sha256;  // 64 lower-case hex digits: safe as part of a file's name
  uint64_t size = 0;

  [[nodiscard]] std::string digest() const { return "sha256:" + sha256; }
};

struct Manifest {
  Layer config;  // size 0 and no digest: the manifest has none
  std::vector<Layer> layers;

  [[nodiscard]] const Layer* find(LayerKind kind) const;  // the first; null: none
  [[nodiscard]] std::vector<Layer> all_blobs() const;     // layers, then the config; each once
  [[nodiscard]] uint64_t total_bytes() const;
};

inline constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 20;
inline constexpr uint64_t kMaxConfigBytes = uint64_t{1} << 20;
inline constexpr uint64_t kMaxTextLayerBytes = uint64_t{16} << 20;
inline constexpr uint64_t kMaxLayerBytes = uint64_t{16} << 40;
inline constexpr size_t kMaxLayers = 256;

inline constexpr std::string_view kManifestMediaType =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kConfigMediaType =
    "application/vnd.docker.container.image.v1+json";

// kBadModel: malformed, or beyond the limits above; kUnsupported: a list of manifests, or two
// layers of a kind that there can be only one of.
Result<Manifest> parse_manifest(std::string_view text);
// A manifest of these parts, as text; `layers` need media_type, sha256 and size.
std::string write_manifest(const Layer& config, std::span<const Layer> layers);

// "application/vnd.ollama.image.model" for kModel; empty for kinds that nobody writes.
std::string media_type_of(LayerKind kind);
// "model", "template", …: for people.
std::string_view name_of(LayerKind kind);

// What a model's config says about whether it can run here: kUnsupported for a model that runs on
// somebody else's computers, for safetensors, for a container image, for layers of unknown types,
// for anything without a GGUF file.
Result<void> check_can_run(const Manifest& manifest, std::string_view config_text);

// 64 lower-case hex digits.
bool is_sha256_hex(std::string_view text);

}  // namespace llmrun::store
