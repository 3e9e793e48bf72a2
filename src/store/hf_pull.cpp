// Models of the Hugging Face hub; see hf_pull.h.
#include "store/hf_pull.h"

#include <system_error>

#include "base/error.h"
#include "store/download.h"
#include "store/hf_cache.h"
#include "store/hf_hub.h"
#include "store/paths.h"

namespace llmrun::store {
namespace {

// A digest is what makes a download trustworthy and resumable; all large files of the hub have one.
Result<void> check_digests(const HfName& name, const HfChoice& choice) {
  for (const HfFile& file : choice.files) {
    if (!file.sha256.empty()) continue;
    return make_error(ErrorCode::kUnsupported,
                      "the hub tells no SHA-256 of {} in {} (it is not stored with Git LFS), so it "
                      "cannot be verified",
                      file.path, name.repository());
  }
  return {};
}

Result<void> bring_file(const HttpClient& client, const HfHub& hub, const HfCache& cache,
                        const HfName& name, const std::string& commit, const HfFile& file) {
  DownloadRequest request;
  request.name = file.path.substr(file.path.rfind('/') + 1);
  request.url = hub.file_url(name, commit, file.path);
  request.authorization = hub.authorization();
  request.size = file.size;
  request.sha256 = file.sha256;
  LLMRUN_ASSIGN(request.target, cache.prepare_blob(name, file.sha256));
  // Other tools own this cache too: what is there and wrong is not ours to delete.
  std::error_code error;
  const uint64_t there = std::filesystem::file_size(request.target, error);
  if (!error && there != file.size) {
    return make_error(ErrorCode::kIo, "{} has {} bytes and should have {}; remove it and try again",
                      request.target.string(), there, file.size);
  }
  LLMRUN_TRY(download(client, request));
  return cache.link(name, commit, file);
}

// What a name means on the hub today.
struct Offer {
  std::string commit;
  std::vector<HfChoice> choices;  // all that the repository has
  HfChoice choice;                // the one that the name means
  HfName name;                    // of that one
};

Result<Offer> ask_for_offer(const HfHub& hub, const HfName& name) {
  LLMRUN_ASSIGN(HfRepository repository, hub.repository(name));
  Offer offer;
  offer.commit = std::move(repository.commit);
  offer.choices = hf_choices(repository.files);
  LLMRUN_ASSIGN(offer.choice, choose(offer.choices, name));
  offer.name = name_of_choice(offer.choices, name, offer.choice);
  return offer;
}

}  // namespace

Result<RemoteModel> locate_on_hub(const HfName& name, const SourceOptions& options) {
  const HttpClient client(http_options(options));
  const HfHub hub(client);
  LLMRUN_ASSIGN(const Offer offer, ask_for_offer(hub, name));
  RemoteModel model;
  model.name = offer.name.text();
  model.authorization = hub.authorization();
  for (const HfFile& file : offer.choice.files) {
    model.files.push_back(
        {file.path, hub.file_url(name, offer.commit, file.path), file.size, file.sha256});
  }
  for (const HfChoice& other : offer.choices) {
    model.choices.push_back({name_of_choice(offer.choices, name, other).text(), other.quant,
                             other.bytes(), other.files.size()});
  }
  return model;
}

Result<StoredModel> pull_from_hub(const HfName& name, const SourceOptions& options) {
  const HttpClient client(http_options(options));
  const HfHub hub(client);
  LLMRUN_ASSIGN(const Offer offer, ask_for_offer(hub, name));
  LLMRUN_TRY(check_digests(name, offer.choice));
  const HfCache cache(hf_cache_dir());
  // Another commit may hold the same file: then its blob is here, and only a link is missing.
  uint64_t missing = 0;
  std::error_code error;
  for (const HfFile& file : offer.choice.files) {
    const auto blob = cache.folder(name) / "blobs" / file.sha256;
    if (std::filesystem::file_size(blob, error) != file.size || error) missing += file.size;
  }
  if (options.approve && missing > 0) LLMRUN_TRY(options.approve(offer.name.text(), missing));
  for (const HfFile& file : offer.choice.files) {
    LLMRUN_TRY(bring_file(client, hub, cache, name, offer.commit, file));
  }
  LLMRUN_TRY(cache.publish(name, offer.commit));
  if (auto model = cache.find(offer.name)) return std::move(*model);
  return make_error(ErrorCode::kIo, "{} was fetched and is gone again from {}", offer.name.text(),
                    cache.root().string());
}

}  // namespace llmrun::store
