// Is this model file sound? The `doctor MODEL` command.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/model.h"

namespace llmrun {

struct CheckResult {
  std::string what;    // "tensors"
  bool good = true;    // false: the model is faulty
  std::string detail;  // what was found, also when it is good
};

struct Checkup {
  std::vector<CheckResult> results;
  double seconds = 0;
  [[nodiscard]] int n_faults() const {
    int n = 0;
    for (const CheckResult& result : results) n += result.good ? 0 : 1;
    return n;
  }
};

// Decodes every tensor (NaN, infinities, zeros, blocks whose scale is out of all proportion), takes
// the vocabulary through its paces, renders the chat template, and lets the model read a sentence
// that everybody knows, also with neighbouring RoPE bases. Finds faults, never mends them. A file
// that cannot even be opened is an error.
LLMRUN_API Result<Checkup> check_model(const std::filesystem::path& path,
                                       const LoadOptions& options = {});

}  // namespace llmrun
