// Which files of a repository make up the model that was asked for. The rules are those that
// llama.cpp follows for -hf, so that one name means one file everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "store/hf_name.h"

namespace llmrun::store {

struct HfFile {
  std::string path;  // inside the repository
  uint64_t size = 0;
  std::string sha256;  // empty: not known
};

// One way to have the model: one file, or all parts of a split one.
struct HfChoice {
  std::string quant;          // "Q4_K_M", read out of the file's name; empty: the name has none
  std::vector<HfFile> files;  // in order

  [[nodiscard]] uint64_t bytes() const;
};

// All that can be run, in the order of the repository; projectors, importance matrices, drafts and
// split models with missing parts are left out.
std::vector<HfChoice> hf_choices(std::span<const HfFile> files);

// The one that the name means: its file; else the first whose path has the quant followed by '.' or
// '-', in any case; else Q4_K_M, Q8_0, or the first. kNotFound lists what there is.
Result<HfChoice> choose(std::span<const HfChoice> choices, const HfName& name);

// The name that means `choice` among `choices`.
HfName name_of_choice(std::span<const HfChoice> choices, const HfName& repository,
                      const HfChoice& choice);

}  // namespace llmrun::store
