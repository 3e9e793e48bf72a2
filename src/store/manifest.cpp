// Manifests of registries; see manifest.h.
#include "store/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/checked_math.h"
#include "base/error.h"
#include "store/http_client.h"

namespace llmrun::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kLayerPrefix = "application/vnd.ollama.image.";
constexpr std::string_view kDigestPrefix = "sha256:";
constexpr std::string_view kOciManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciConfigType = "application/vnd.oci.image.config.v1+json";

struct KnownLayer {
  std::string_view name;  // behind kLayerPrefix
  LayerKind kind;
  bool is_text;  // held in memory
  bool may_repeat;
};

constexpr KnownLayer kKnownLayers[] = {
    {"model", LayerKind::kModel, false, false},
    {"template", LayerKind::kTemplate, true, false},
    {"prompt", LayerKind::kTemplate, true, false},  // its old name
    {"params", LayerKind::kParams, true, false},
    {"system", LayerKind::kSystem, true, false},
    {"license", LayerKind::kLicense, true, true},
    {"messages", LayerKind::kMessages, true, false},
    {"adapter", LayerKind::kAdapter, false, true},
    {"projector", LayerKind::kProjector, false, true},
    {"draft", LayerKind::kDraft, false, false},
    {"embed", LayerKind::kIgnored, false, true},
    {"tensor", LayerKind::kForeign, false, true},
    {"json", LayerKind::kForeign, true, true},
};

const KnownLayer* known_layer(std::string_view media_type) {
  if (!media_type.starts_with(kLayerPrefix)) return nullptr;
  media_type.remove_prefix(kLayerPrefix.size());
  const auto* const it =
      std::find_if(std::begin(kKnownLayers), std::end(kKnownLayers),
                   [&](const KnownLayer& known) { return known.name == media_type; });
  return it == std::end(kKnownLayers) ? nullptr : it;
}

std::string text_member(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// Media type, digest and size; the kind is left to the caller.
Result<Layer> parse_descriptor(const Json& json, std::string_view what) {
  if (!json.is_object()) {
    return make_error(ErrorCode::kBadModel, "the manifest's {} is not an object", what);
  }
  Layer layer;
  layer.media_type = text_member(json, "mediaType");
  const std::string digest = text_member(json, "digest");
  if (!digest.starts_with(kDigestPrefix) ||
      !is_sha256_hex(std::string_view(digest).substr(kDigestPrefix.size()))) {
    return make_error(ErrorCode::kBadModel, "the manifest's {} has no SHA-256 digest but \"{}\"",
                      what, printable(digest, 100));
  }
  layer.sha256 = digest.substr(kDigestPrefix.size());
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned() || size->get<uint64_t>() > kMaxLayerBytes) {
    return make_error(ErrorCode::kBadModel, "the manifest's {} has no size that can be", what);
  }
  layer.size = size->get<uint64_t>();
  return layer;
}

Result<Layer> parse_layer(const Json& json, size_t index) {
  const std::string what = fmt::format("layer {}", index);
  LLMRUN_ASSIGN(Layer layer, parse_descriptor(json, what));
  const KnownLayer* const known = known_layer(layer.media_type);
  if (known == nullptr) {
    layer.kind = LayerKind::kUnknown;
    return layer;
  }
  layer.kind = known->kind;
  if (known->is_text && layer.size > kMaxTextLayerBytes) {
    return make_error(ErrorCode::kBadModel, "{} ({}) says it has {} bytes; {} are allowed", what,
                      known->name, layer.size, kMaxTextLayerBytes);
  }
  return layer;
}

bool may_repeat(LayerKind kind) {
  return kind == LayerKind::kUnknown ||
         std::any_of(
             std::begin(kKnownLayers), std::end(kKnownLayers),
             [&](const KnownLayer& known) { return known.kind == kind && known.may_repeat; });
}

// One blob has one size, and a model has one of what it needs once.
Result<void> check_together(const Manifest& manifest) {
  uint64_t total = manifest.config.size;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const Layer& layer = manifest.layers[i];
    const auto sum = checked_add(total, layer.size);
    if (!sum || *sum > kMaxLayerBytes) {
      return make_error(ErrorCode::kBadModel, "the manifest's layers are too large together");
    }
    total = *sum;
    const auto contradicts = [&](const Layer& other) {
      return other.sha256 == layer.sha256 && other.size != layer.size;
    };
    const auto doubles = [&](const Layer& other) {
      return other.kind == layer.kind && !may_repeat(layer.kind);
    };
    const auto before = std::span(manifest.layers).first(i);
    if (contradicts(manifest.config) || std::any_of(before.begin(), before.end(), contradicts)) {
      return make_error(ErrorCode::kBadModel, "the manifest gives blob {} two sizes",
                        layer.sha256.substr(0, 12));
    }
    if (std::any_of(before.begin(), before.end(), doubles)) {
      return make_error(ErrorCode::kUnsupported,
                        "the manifest has two layers of type {}; which one counts is not said",
                        name_of(layer.kind));
    }
  }
  return {};
}

Result<void> check_header(const Json& json) {
  if (!json.is_object()) return make_error(ErrorCode::kBadModel, "the manifest is not JSON");
  const std::string type = text_member(json, "mediaType");
  if (json.contains("manifests")) {
    return make_error(ErrorCode::kUnsupported,
                      "this is a list of container images for several platforms, not a model");
  }
  if (!type.empty() && type != kManifestMediaType && type != kOciManifestType) {
    return make_error(ErrorCode::kUnsupported, "the manifest is of type \"{}\", not a model's",
                      printable(type, 100));
  }
  const auto version = json.find("schemaVersion");
  if (version == json.end() || *version != 2) {
    return make_error(ErrorCode::kUnsupported, "the manifest's schemaVersion is not 2");
  }
  return {};
}

Json descriptor(const Layer& layer) {
  return Json{{"mediaType", layer.media_type}, {"digest", layer.digest()}, {"size", layer.size}};
}

}  // namespace

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

const Layer* Manifest::find(LayerKind kind) const {
  const auto it = std::find_if(layers.begin(), layers.end(),
                               [&](const Layer& layer) { return layer.kind == kind; });
  return it == layers.end() ? nullptr : &*it;
}

std::vector<Layer> Manifest::all_blobs() const {
  std::vector<Layer> blobs;
  const auto add = [&](const Layer& layer) {
    const bool known = std::any_of(blobs.begin(), blobs.end(), [&](const Layer& other) {
      return other.sha256 == layer.sha256;
    });
    if (!known && !layer.sha256.empty()) blobs.push_back(layer);
  };
  for (const Layer& layer : layers) add(layer);
  add(config);
  return blobs;
}

uint64_t Manifest::total_bytes() const {
  uint64_t total = config.size;
  for (const Layer& layer : layers) total += layer.size;
  return total;
}

Result<Manifest> parse_manifest(std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    return make_error(ErrorCode::kBadModel, "the manifest has {} bytes; {} are allowed",
                      text.size(), kMaxManifestBytes);
  }
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  LLMRUN_TRY(check_header(json));
  Manifest manifest;
  if (const auto config = json.find("config"); config != json.end() && !config->is_null()) {
    LLMRUN_ASSIGN(manifest.config, parse_descriptor(*config, "config"));
    manifest.config.kind = LayerKind::kConfig;
    const std::string& type = manifest.config.media_type;
    if (type != kConfigMediaType && type != kOciConfigType) {
      return make_error(ErrorCode::kUnsupported, "the manifest's config is of type \"{}\"",
                        printable(type, 100));
    }
    if (manifest.config.size > kMaxConfigBytes) {
      return make_error(ErrorCode::kBadModel, "the manifest's config says it has {} bytes",
                        manifest.config.size);
    }
  }
  const auto layers = json.find("layers");
  if (layers == json.end() || !layers->is_array() || layers->empty()) {
    return make_error(ErrorCode::kBadModel, "the manifest has no layers");
  }
  if (layers->size() > kMaxLayers) {
    return make_error(ErrorCode::kBadModel, "the manifest has {} layers; {} are allowed",
                      layers->size(), kMaxLayers);
  }
  for (size_t i = 0; i < layers->size(); ++i) {
    LLMRUN_ASSIGN(Layer layer, parse_layer((*layers)[i], i));
    manifest.layers.push_back(std::move(layer));
  }
  LLMRUN_TRY(check_together(manifest));
  return manifest;
}

std::string write_manifest(const Layer& config, std::span<const Layer> layers) {
  Json json{{"schemaVersion", 2},
            {"mediaType", kManifestMediaType},
            {"config", descriptor(config)},
            {"layers", Json::array()}};
  for (const Layer& layer : layers) json["layers"].push_back(descriptor(layer));
  return json.dump();
}

std::string media_type_of(LayerKind kind) {
  if (kind == LayerKind::kConfig) return std::string(kConfigMediaType);
  if (kind == LayerKind::kIgnored || kind == LayerKind::kForeign || kind == LayerKind::kUnknown) {
    return {};
  }
  return std::string(kLayerPrefix) + std::string(name_of(kind));
}

std::string_view name_of(LayerKind kind) {
  if (kind == LayerKind::kConfig) return "config";
  for (const KnownLayer& known : kKnownLayers) {
    if (known.kind == kind) return known.name;
  }
  return "unknown";
}

Result<void> check_can_run(const Manifest& manifest, std::string_view config_text) {
  const Json config = Json::parse(config_text, nullptr, /*allow_exceptions=*/false);
  const bool has_model = manifest.find(LayerKind::kModel) != nullptr;
  const std::string remote = config.is_object() ? text_member(config, "remote_host") : "";
  if (!remote.empty() && !has_model) {
    return make_error(ErrorCode::kUnsupported,
                      "this model has no weights to download: it runs on the computers of {}, and "
                      "llmrun runs models here alone",
                      printable(remote, 100));
  }
  for (const Layer& layer : manifest.layers) {
    if (layer.kind != LayerKind::kUnknown) continue;
    return make_error(ErrorCode::kUnsupported,
                      "it has a layer of type \"{}\", which llmrun does not know: {}",
                      printable(layer.media_type, 100),
                      layer.media_type.starts_with(kLayerPrefix)
                          ? "a newer kind of model?"
                          : "this is a container image or something else, not a model");
  }
  const std::string format = config.is_object() ? text_member(config, "model_format") : "";
  if (manifest.find(LayerKind::kForeign) != nullptr || (!format.empty() && format != "gguf")) {
    return make_error(
        ErrorCode::kUnsupported,
        "this model is not a GGUF file but {}; look for a GGUF of it (llmrun search), "
        "or convert its Hugging Face folder (llmrun convert)",
        format.empty() ? "safetensors" : printable(format, 100));
  }
  if (!has_model) {
    return make_error(ErrorCode::kUnsupported, "there is no model file among the layers");
  }
  return {};
}

}  // namespace llmrun::store
