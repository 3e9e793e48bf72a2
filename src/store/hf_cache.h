// The cache on disk that Hugging Face's Python tools and llama.cpp share:
//   models--user--repo/refs/main                    the commit
//   models--user--repo/snapshots/<commit>/<path>    a link to ../../blobs/<sha256>
// llmrun puts what it fetches from the hub there, too. So no tool fetches what another one has, and
// the parts of a split model lie side by side under their names, as its first part expects.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/hf_choice.h"
#include "store/hf_name.h"
#include "store/local_store.h"

namespace llmrun::store {

class HfCache {
 public:
  explicit HfCache(std::filesystem::path root) : root_(std::move(root)) {}

  // Every GGUF model of every repository whose files are all there.
  [[nodiscard]] std::vector<StoredModel> list() const;
  // By the rules of choose(), among what is there.
  [[nodiscard]] std::optional<StoredModel> find(const HfName& name) const;

  // The folder of a repository; it may not be there.
  [[nodiscard]] std::filesystem::path folder(const HfName& name) const;
  // Where the blob of that digest lies or will lie; creates the folders on the way.
  [[nodiscard]] Result<std::filesystem::path> prepare_blob(const HfName& name,
                                                           const std::string& sha256) const;
  // Gives a blob that is complete its place in the snapshot of `commit`.
  Result<void> link(const HfName& name, const std::string& commit, const HfFile& file) const;
  // Makes `commit` the one that the repository's main branch stands for: the last step, by which
  // what was linked becomes visible.
  Result<void> publish(const HfName& name, const std::string& commit) const;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  struct Snapshot {
    std::filesystem::path folder;
    std::vector<HfFile> files;  // the GGUF files
  };
  // That of the main branch first, then the others, the newest first.
  [[nodiscard]] std::vector<Snapshot> snapshots(const HfName& name) const;

  std::filesystem::path root_;
};

// 40 lower-case hex digits: safe as a folder's name.
bool is_commit(std::string_view text);

}  // namespace llmrun::store
