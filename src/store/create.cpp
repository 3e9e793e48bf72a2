// Layers and manifest of a model that a Modelfile describes; see create.h.
#include "store/create.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_io.h"
#include "base/json_depth.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "store/folder.h"
#include "store/link_file.h"
#include "store/manifest.h"
#include "store/model_layers.h"
#include "store/parameters.h"
#include "store/store_lock.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kMaxConfigDepth = 64;

// "~/x" is below the home folder, "x" below `folder`.
fs::path expanded(const std::string& text, const fs::path& folder) {
  const char* const home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/"))) {
    return fs::path(home) / text.substr(std::min<size_t>(2, text.size()));
  }
  return folder / text;  // an absolute path stays as it is
}

// The only GGUF file of a folder.
Result<fs::path> file_in(const fs::path& folder) {
  std::vector<fs::path> found;
  bool has_safetensors = false;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".gguf") found.push_back(it->path());
    has_safetensors = has_safetensors || it->path().extension() == ".safetensors";
  }
  if (found.size() == 1) return found.front();
  if (found.empty() && has_safetensors) {
    return make_error(ErrorCode::kUnsupported,
                      "{} holds safetensors; make a GGUF file of it first: llmrun convert {}",
                      folder.string(), folder.string());
  }
  return make_error(ErrorCode::kNotFound, "{} holds {} GGUF files; name the one to use",
                    folder.string(), found.size());
}

class Creator {
 public:
  Creator(const Modelfile& file, const fs::path& folder, const LocalStore& store)
      : file_(file), folder_(folder), store_(store) {}

  Result<CreateReport> run(const ModelName& name, const FindModel& find) {
    LLMRUN_TRY(make_folder(store_.root() / "blobs"));
    // Checked before anything is hashed or written.
    if (!file_.parameters.empty()) {
      LLMRUN_TRY(parameters_to_json(file_.parameters, report_.warnings));
    }
    LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_adding(store_.root()));
    LLMRUN_TRY(add_origin(find));
    LLMRUN_TRY(add_texts());
    for (const std::string& adapter : file_.adapters) {
      const fs::path path = expanded(adapter, folder_);
      LLMRUN_TRY(add_file(LayerKind::kAdapter, path));
    }
    return publish(name);
  }

 private:
  Result<void> add_origin(const FindModel& find) {
    const fs::path path = expanded(file_.from, folder_);
    std::error_code error;
    if (fs::is_directory(path, error)) {
      LLMRUN_ASSIGN(const fs::path inside, file_in(path));
      return add_file(LayerKind::kModel, inside);
    }
    if (fs::exists(path, error)) return add_file(LayerKind::kModel, path);
    auto model = find(file_.from);
    if (!model) {
      return with_context(model.error(), fmt::format("line {}: FROM", file_.from_line));
    }
    if (model->manifest.empty()) return add_file(LayerKind::kModel, model->file);
    return inherit(*model);
  }

  // All layers of another model, from whichever store it lies in.
  Result<void> inherit(const StoredModel& model) {
    LLMRUN_ASSIGN(const std::string text, read_file(model.manifest.string(), kMaxManifestBytes));
    LLMRUN_ASSIGN(Manifest manifest, parse_manifest(text));
    LLMRUN_ASSIGN(inherited_, read_layers(model));
    const fs::path blobs = model.file.parent_path();
    for (const Layer& layer : manifest.all_blobs()) {
      const fs::path blob = store_.blob_path(layer.sha256);
      std::error_code error;
      if (fs::exists(blob, error)) continue;
      fs::path from = blobs / blob.filename();
      if (!fs::exists(from, error)) from = blobs / layer.digest();  // stores made before 2024
      LLMRUN_TRY(link_file(from, blob));
    }
    if (!manifest.config.sha256.empty()) {
      LLMRUN_ASSIGN(const std::string config,
                    read_file(store_.blob_path(manifest.config.sha256).string(), kMaxConfigBytes));
      // What is written again is walked to its depth, which another's config may not decide.
      if (!json_is_deeper_than(config, kMaxConfigDepth)) {
        Json parsed = Json::parse(config, nullptr, /*allow_exceptions=*/false);
        if (parsed.is_object()) config_ = std::move(parsed);
      }
    }
    for (Layer& layer : manifest.layers) {
      report_.reused.emplace_back(name_of(layer.kind));
      layers_.push_back(std::move(layer));
    }
    return {};
  }

  // The file's own texts in the place of what was inherited; licenses are added.
  Result<void> add_texts() {
    if (file_.chat_template) {
      LLMRUN_TRY(replace(LayerKind::kTemplate, *file_.chat_template));
    }
    if (file_.system) LLMRUN_TRY(replace(LayerKind::kSystem, *file_.system));
    if (!file_.parameters.empty()) LLMRUN_TRY(replace_parameters());
    if (!file_.messages.empty()) {
      Json messages = Json::array();
      for (const Message& message : file_.messages) {
        messages.push_back({{"role", message.role}, {"content", utf8::sanitize(message.content)}});
      }
      LLMRUN_TRY(replace(LayerKind::kMessages, messages.dump()));
    }
    for (const std::string& license : file_.licenses) {
      LLMRUN_TRY(add_text(LayerKind::kLicense, license));
    }
    return {};
  }

  // Inherited parameters stay where the file says nothing about them.
  Result<void> replace_parameters() {
    std::vector<std::string> ignored;
    LLMRUN_ASSIGN(const std::string own, parameters_to_json(file_.parameters, ignored));
    Json merged = Json::parse(own);
    std::vector<ModelfileParameter> others;
    for (const Parameter& each : inherited_.parameters) {
      if (!merged.contains(each.name)) others.push_back({each.name, each.value, 0});
    }
    if (const auto kept = parameters_to_json(others, ignored)) {
      const Json inherited = Json::parse(*kept);
      for (const auto& [name, value] : inherited.items()) merged[name] = value;
    }
    return replace(LayerKind::kParams, merged.dump());
  }

  Result<void> replace(LayerKind kind, const std::string& text) {
    const auto is_old = [&](const Layer& layer) { return layer.kind == kind; };
    layers_.erase(std::remove_if(layers_.begin(), layers_.end(), is_old), layers_.end());
    auto& reused = report_.reused;
    reused.erase(std::remove(reused.begin(), reused.end(), name_of(kind)), reused.end());
    if (text.empty()) return {};  // an empty text takes the inherited one away
    return add_text(kind, text);
  }

  Result<void> add_text(LayerKind kind, const std::string& text) {
    LLMRUN_ASSIGN(Layer layer, write_blob(kind, text));
    layers_.push_back(std::move(layer));
    report_.made.emplace_back(name_of(kind));
    return {};
  }

  Result<Layer> write_blob(LayerKind kind, const std::string& text) {
    LLMRUN_ASSIGN(const std::string sha256, sha256_hex(std::as_bytes(std::span(text))));
    const fs::path blob = store_.blob_path(sha256);
    std::error_code error;
    if (!fs::exists(blob, error)) LLMRUN_TRY(write_file_atomic(blob.string(), text));
    return Layer{kind, media_type_of(kind), sha256, text.size()};
  }

  Result<void> add_file(LayerKind kind, const fs::path& path) {
    LLMRUN_TRY(check_is_gguf(path));
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    Progress progress("reading " + path.filename().string(), size);
    LLMRUN_ASSIGN(const std::string sha256,
                  sha256_file(path.string(), [&](uint64_t done) { progress.update(done); }));
    progress.finish();
    const fs::path blob = store_.blob_path(sha256);
    if (!fs::exists(blob, error)) {
      fs::remove(blob, error);  // a link whose file is gone
      LLMRUN_TRY(link_file(path, blob));
      report_.made.emplace_back(name_of(kind));
    } else {
      report_.reused.emplace_back(name_of(kind));
    }
    layers_.push_back({kind, media_type_of(kind), sha256, size});
    return {};
  }

  Result<CreateReport> publish(const ModelName& name) {
    if (config_.is_null()) config_ = Json{{"model_format", "gguf"}};
    if (!file_.requires_version.empty()) {
      config_["requires"] = utf8::sanitize(file_.requires_version);
    }
    if (config_.contains("rootfs")) {  // the digests of what the model was made of
      Json digests = Json::array();
      for (const Layer& layer : layers_) digests.push_back(layer.digest());
      config_["rootfs"] = {{"type", "layers"}, {"diff_ids", std::move(digests)}};
    }
    const std::string config = config_.dump(-1, ' ', false, Json::error_handler_t::replace);
    LLMRUN_ASSIGN(const Layer config_layer, write_blob(LayerKind::kConfig, config));
    const fs::path path = store_.manifest_path(name);
    LLMRUN_TRY(make_folder(path.parent_path()));
    LLMRUN_TRY(write_file_atomic(path.string(), write_manifest(config_layer, layers_)));
    auto model = store_.find(name);
    if (!model) {
      return make_error(ErrorCode::kInternal, "the model {} was made and cannot be found",
                        name.text());
    }
    report_.model = std::move(*model);
    return std::move(report_);
  }

  const Modelfile& file_;
  const fs::path& folder_;
  const LocalStore& store_;
  ModelLayers inherited_;
  Json config_;
  std::vector<Layer> layers_;
  CreateReport report_;
};

}  // namespace

Result<CreateReport> create_model(const Modelfile& file, const fs::path& folder,
                                  const ModelName& name, const LocalStore& store,
                                  const FindModel& find) {
  return Creator(file, folder, store).run(name, find);
}

}  // namespace llmrun::store
