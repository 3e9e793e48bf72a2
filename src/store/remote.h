// A model as a server offers it: what it is, where its bytes are, and what else there is of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace llmrun::store {

class HttpAuthorization;

struct RemoteFile {
  std::string name;    // as people know it
  std::string url;     // where it is fetched from; ranges of it, too
  uint64_t size = 0;   // bytes
  std::string sha256;  // empty: the server tells none
};

// Another quantisation in the same place.
struct RemoteChoice {
  std::string name;   // "hf:user/repo:Q8_0"
  std::string quant;  // "Q8_0"; empty: not known
  uint64_t bytes = 0;
  size_t n_files = 1;
};

struct RemoteModel {
  std::string name;               // "hf:user/repo:Q4_K_M"
  std::vector<RemoteFile> files;  // the GGUF file, or all parts of a split one in order
  std::shared_ptr<HttpAuthorization> authorization;
  std::vector<RemoteChoice> choices;  // all of the repository, this one included; may be empty

  [[nodiscard]] uint64_t bytes() const {
    uint64_t sum = 0;
    for (const RemoteFile& file : files) sum += file.size;
    return sum;
  }
};

}  // namespace llmrun::store
