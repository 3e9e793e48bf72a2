// Names of models on the Hugging Face hub as people type them: hf:user/repo[:quant][/file.gguf].
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::store {

struct HfName {
  std::string user;
  std::string repo;
  std::string quant;  // "Q4_K_M"; empty: the best of the usual ones
  std::string file;   // path inside the repository; empty: chosen by quant

  [[nodiscard]] std::string repository() const { return user + "/" + repo; }
  [[nodiscard]] std::string text() const;
};

// "hf:…" in any case, or the address of a repository or file on huggingface.co.
bool is_hf_name(std::string_view text);
// kUsage, showing the form, when it is malformed or a part could lead out of a folder.
Result<HfName> parse_hf_name(std::string_view text);

// A relative path whose every part is a plain name: safe below any folder.
bool is_safe_path(std::string_view path);

}  // namespace llmrun::store
