// Verification and repair; see verify.h.
#include "store/verify.h"

#include <chrono>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/file_io.h"
#include "base/progress.h"
#include "store/block_checks.h"
#include "store/catalog.h"
#include "store/download.h"
#include "store/fetch.h"
#include "store/in_order_hash.h"
#include "store/partial_file.h"
#include "store/registry.h"
#include "store/store_lock.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

// Hashes the whole file; leaves its block checks when they are not there yet and it is good.
Result<bool> is_good(const fs::path& path, const VerifiedBlob& blob, const fs::path& checks_path,
                     const std::function<bool()>& cancelled) {
  LLMRUN_ASSIGN(const FileDescriptor file, open_regular_file(path.string()));
  std::error_code error;
  if (fs::file_size(path, error) != blob.size || error) return false;
  Progress progress("verifying " + blob.sha256.substr(0, 12), blob.size);
  InOrderHash hash(file, path.string(), blob.size, [size = blob.size] { return size; });
  while (hash.hashed() < blob.size && !hash.has_failed()) {
    if (cancelled && cancelled()) return make_error(ErrorCode::kInterrupted, "interrupted");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    progress.update(hash.hashed());
  }
  LLMRUN_ASSIGN(const std::string digest, hash.finish());
  progress.update(blob.size);
  progress.finish();
  if (digest != blob.sha256) return false;
  if (!checks_path.empty() && !hash.checks().states.empty() && !fs::exists(checks_path, error)) {
    (void)save_block_checks(checks_path, hash.checks());  // only a help for later
  }
  return true;
}

// Which bytes are bad; all of them when nothing says more.
std::vector<ByteRange> bad_ranges(const fs::path& path, const VerifiedBlob& blob,
                                  const fs::path& checks_path) {
  std::vector<ByteRange> all = {{0, blob.size}};
  const auto checks = load_block_checks(checks_path, blob.size);
  const auto file = open_regular_file(path.string());
  if (!checks || !file) return all;
  Progress progress("finding what is bad in " + blob.sha256.substr(0, 12), blob.size);
  const auto bad = find_bad_blocks(*file, path.string(), *checks, blob.sha256, [&](uint64_t done) {
    progress.update(done);
    return Result<void>();
  });
  return bad && !bad->empty() ? *bad : all;
}

class Mender {
 public:
  Mender(const HttpClient& client, const LocalStore& store, const ModelName& name)
      : client_(client), store_(store), name_(name) {}

  Result<void> mend(const Layer& layer, const std::vector<ByteRange>& bad) {
    if (name_.host == kCatalogHost) return fetch_from_catalog(layer);
    LLMRUN_ASSIGN(const Registry registry, Registry::of(client_, name_));
    LLMRUN_ASSIGN(const bool is_there, registry.has_blob(layer));
    if (!is_there) {
      return make_error(ErrorCode::kNotFound, "{} does not have it", registry.base());
    }
    const fs::path target = store_.blob_path(layer.sha256);
    LLMRUN_ASSIGN(const FileDescriptor lock, lock_for_adding(store_.root()));
    std::error_code error;
    if (fs::exists(fs::symlink_status(target, error))) {
      LLMRUN_TRY(reopen_as_partial(target, layer.size, bad));
    }
    DownloadRequest request = registry.download_request(layer);
    request.target = target;
    request.checks = store_.checks_path(layer.sha256);
    LLMRUN_TRY(download(client_, request));
    return {};
  }

 private:
  // Its sources bring whole files only.
  Result<void> fetch_from_catalog(const Layer& layer) {
    const CatalogEntry* const entry = find_in_catalog(name_);
    if (entry == nullptr || entry->sha256 != layer.sha256) {
      return make_error(ErrorCode::kNotFound, "the catalogue has no file for it");
    }
    if (client_.options().offline) return offline_error("the catalogue");
    const fs::path target = store_.blob_path(layer.sha256);
    const fs::path aside = target.string() + "-damaged";
    std::error_code error;
    fs::rename(target, aside, error);
    auto result = fetch_model(*entry, store_);
    if (!result) {
      fs::rename(aside, target, error);
      return tl::unexpected<Error>(result.error());
    }
    fs::remove(aside, error);
    return {};
  }

  const HttpClient& client_;
  const LocalStore& store_;
  const ModelName& name_;
};

}  // namespace

Result<std::vector<VerifiedBlob>> verify_model(const HttpClient& client, const LocalStore& store,
                                               const LocalStore::Named& model,
                                               const VerifyOptions& options) {
  LLMRUN_ASSIGN(const Manifest manifest, LocalStore::read_manifest_file(model.manifest));
  std::vector<VerifiedBlob> blobs;
  for (const Layer& layer : manifest.all_blobs()) {
    VerifiedBlob blob{layer.kind, layer.sha256, layer.size, BlobState::kGood, 0, {}};
    if (options.good != nullptr && options.good->count(layer.sha256) > 0) {
      blobs.push_back(std::move(blob));
      continue;
    }
    const fs::path path = store.blob_path(layer.sha256);
    const fs::path checks = options.mend ? store.checks_path(layer.sha256) : fs::path();
    std::error_code error;
    std::vector<ByteRange> bad = {{0, layer.size}};
    if (!fs::exists(path, error)) {
      blob.state = BlobState::kMissing;
    } else {
      LLMRUN_ASSIGN(const bool good, is_good(path, blob, checks, options.cancelled));
      if (!good) {
        blob.state = BlobState::kDamaged;
        bad = bad_ranges(path, blob, store.checks_path(layer.sha256));
      }
    }
    if (blob.state != BlobState::kGood) {
      blob.bad_bytes =
          std::accumulate(bad.begin(), bad.end(), uint64_t{0},
                          [](uint64_t sum, const ByteRange& range) { return sum + range.second; });
      if (options.mend) {
        auto mended = Mender(client, store, model.name).mend(layer, bad);
        if (!mended && mended.error().code == ErrorCode::kInterrupted) {
          return tl::unexpected<Error>(mended.error());
        }
        if (mended) {
          blob.state = BlobState::kMended;
        } else {
          blob.problem = mended.error().message;
        }
      }
    }
    const bool is_sound = blob.state == BlobState::kGood || blob.state == BlobState::kMended;
    if (options.good != nullptr && is_sound) options.good->insert(blob.sha256);
    blobs.push_back(std::move(blob));
  }
  return blobs;
}

}  // namespace llmrun::store
