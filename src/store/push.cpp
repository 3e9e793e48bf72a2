// From the store to a registry; see push.h.
#include "store/push.h"

#include "base/error.h"
#include "base/file_io.h"
#include "base/progress.h"
#include "store/manifest.h"
#include "store/registry.h"
#include "store/say.h"

namespace llmrun::store {
namespace {

// Another model of ours that was pulled from or pushed to the same registry and has this blob: the
// registry can take it from there.
std::string mount_source(const LocalStore& store, const ModelName& name, const Layer& layer) {
  for (const StoredModel& model : store.list()) {
    const auto other = parse_model_name(model.name);
    if (!other || other->host != name.host) continue;
    const auto manifest = store.manifest_of(model);
    if (!manifest) continue;
    for (const Layer& blob : manifest->all_blobs()) {
      std::string repository = other->name_space + "/" + other->model;
      if (blob.sha256 == layer.sha256 && repository != name.name_space + "/" + name.model) {
        return repository;
      }
    }
  }
  return {};
}

}  // namespace

Result<void> push_model(const HttpClient& client, const ModelName& name, const LocalStore& store) {
  const auto model = store.find(name);
  if (!model) {
    return make_error(ErrorCode::kNotFound,
                      "the store {} has no model {}; give it that name first: llmrun cp MODEL {}",
                      store.root().string(), name.text(), name.text());
  }
  LLMRUN_ASSIGN(const std::string text, read_file(model->manifest.string(), kMaxManifestBytes));
  LLMRUN_ASSIGN(const Manifest manifest, parse_manifest(text));
  LLMRUN_ASSIGN(const Registry registry, Registry::of(client, name));
  for (const Layer& layer : manifest.all_blobs()) {
    Progress progress("pushing " + layer.sha256.substr(0, 12), layer.size);
    LLMRUN_TRY(registry.push_blob(layer, store.blob_path(layer.sha256).string(),
                                  mount_source(store, name, layer),
                                  [&](uint64_t sent) { progress.update(sent); }));
    progress.update(layer.size);
    progress.finish();
  }
  say("pushing manifest");
  return registry.push_manifest(name, text);
}

}  // namespace llmrun::store
