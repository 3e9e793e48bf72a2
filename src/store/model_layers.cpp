// Reads the layers of a stored model; see model_layers.h.
#include "store/model_layers.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_io.h"
#include "base/utf8.h"
#include "store/manifest.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMaxMessages = 10'000;

// blobs/ lies beside manifests/, four levels above the manifest: host, namespace, model, tag.
fs::path blob_of(const fs::path& manifest, const Layer& layer) {
  const fs::path root =
      manifest.parent_path().parent_path().parent_path().parent_path().parent_path();
  std::error_code error;
  fs::path path = root / "blobs" / ("sha256-" + layer.sha256);
  if (fs::exists(path, error)) return path;
  const fs::path old = root / "blobs" / layer.digest();  // stores made before 2024
  return fs::exists(old, error) ? old : path;
}

Result<std::string> text_of(const fs::path& manifest, const Layer& layer) {
  auto text = read_file(blob_of(manifest, layer).string(), kMaxTextLayerBytes);
  if (text && text->size() == layer.size) return text;
  if (!text) return with_context(text.error(), fmt::format("{} layer", name_of(layer.kind)));
  return make_error(
      ErrorCode::kBadModel,
      "the {} layer has {} bytes where the manifest says {}; 'llmrun verify' mends it",
      name_of(layer.kind), text->size(), layer.size);
}

Result<std::vector<Message>> parse_messages(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array() || json.size() > kMaxMessages) {
    return make_error(ErrorCode::kBadModel, "the messages layer is no JSON array of messages");
  }
  std::vector<Message> messages;
  for (const Json& each : json) {
    if (!each.is_object() || !each.contains("role") || !each["role"].is_string() ||
        !each.contains("content") || !each["content"].is_string()) {
      return make_error(ErrorCode::kBadModel,
                        "a message of the messages layer has no role and text");
    }
    messages.push_back(
        {.role = each["role"].get<std::string>(), .content = each["content"].get<std::string>()});
  }
  return messages;
}

Result<void> add_layer(const fs::path& manifest, const Layer& layer, ModelLayers& layers) {
  switch (layer.kind) {
    case LayerKind::kTemplate: {
      LLMRUN_ASSIGN(layers.chat_template, text_of(manifest, layer));
      break;
    }
    case LayerKind::kSystem: {
      LLMRUN_ASSIGN(const std::string text, text_of(manifest, layer));
      layers.system = utf8::sanitize(text);
      break;
    }
    case LayerKind::kParams: {
      LLMRUN_ASSIGN(const std::string text, text_of(manifest, layer));
      LLMRUN_ASSIGN(layers.parameters, parameters_from_json(text));
      break;
    }
    case LayerKind::kMessages: {
      LLMRUN_ASSIGN(const std::string text, text_of(manifest, layer));
      LLMRUN_ASSIGN(layers.messages, parse_messages(text));
      break;
    }
    case LayerKind::kLicense: {
      LLMRUN_ASSIGN(std::string text, text_of(manifest, layer));
      layers.licenses.push_back(utf8::sanitize(text));
      break;
    }
    case LayerKind::kAdapter:
      layers.adapters.push_back(blob_of(manifest, layer));
      break;
    case LayerKind::kProjector:
      layers.projectors.push_back(blob_of(manifest, layer));
      break;
    default:
      break;
  }
  return {};
}

}  // namespace

Result<ModelLayers> read_layers(const StoredModel& model) {
  ModelLayers layers;
  if (model.manifest.empty()) return layers;
  LLMRUN_ASSIGN(const std::string text, read_file(model.manifest.string(), kMaxManifestBytes));
  LLMRUN_ASSIGN(const Manifest manifest, parse_manifest(text));
  for (const Layer& layer : manifest.layers) {
    if (auto added = add_layer(model.manifest, layer, layers); !added) {
      return with_context(added.error(), model.name);
    }
  }
  return layers;
}

Modelfile as_modelfile(const ModelLayers& layers, const std::string& from) {
  Modelfile file;
  file.from = from;
  for (const fs::path& adapter : layers.adapters) file.adapters.push_back(adapter.string());
  file.chat_template = layers.chat_template;
  file.system = layers.system;
  for (const Parameter& each : layers.parameters) {
    file.parameters.push_back({each.name, each.value, 0});
  }
  file.messages = layers.messages;
  file.licenses = layers.licenses;
  return file;
}

}  // namespace llmrun::store
