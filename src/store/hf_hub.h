// What the Hugging Face hub tells about a repository, and its search. The hub's answers are checked
// as those of a stranger: wrong types, endless pages and paths that lead away end in an error or
// are left out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/hf_choice.h"
#include "store/hf_name.h"
#include "store/http_client.h"

namespace llmrun::store {

struct HfRepository {
  std::string commit;         // 40 hex digits: what the main branch stands for now
  std::vector<HfFile> files;  // the GGUF files
};

struct HfSearchHit {
  std::string repository;  // "user/repo"
  uint64_t downloads = 0;  // of the last month, as the hub counts
  uint64_t likes = 0;
  std::string modified;  // "2026-03-01"
};

class HfHub {
 public:
  explicit HfHub(const HttpClient& client);

  // kNotFound when there is no such repository, or it wants a token; says which to do.
  [[nodiscard]] Result<HfRepository> repository(const HfName& name) const;
  [[nodiscard]] std::string file_url(const HfName& name, const std::string& commit,
                                     const std::string& path) const;
  // Repositories with GGUF files, the most downloaded first.
  [[nodiscard]] Result<std::vector<HfSearchHit>> search(const std::string& words, int limit) const;
  // Carries the token, if there is one.
  [[nodiscard]] const std::shared_ptr<HttpAuthorization>& authorization() const { return token_; }

 private:
  [[nodiscard]] Result<HttpResponse> get(const std::string& url, const HfName& name) const;

  const HttpClient& client_;
  std::string endpoint_;
  std::shared_ptr<HttpAuthorization> token_;
};

// $MODEL_ENDPOINT, else $HF_ENDPOINT, else https://huggingface.co; without a slash at the end.
std::string hf_endpoint();
// $HF_TOKEN, else the file $HF_TOKEN_PATH or <HF_HOME>/token; empty: there is none.
std::string hf_token();

}  // namespace llmrun::store
