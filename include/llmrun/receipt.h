// Receipts: what an answer was made of, so that anybody can make it again and see whether it is the
// same, token by token and logit by logit. Session::receipt() writes one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/export.h"
#include "llmrun/model.h"

namespace llmrun {

// The model that a receipt names, as it was named then.
LLMRUN_API Result<std::string> receipt_model(std::string_view receipt);

struct Replay {
  bool same = false;
  int64_t n_tokens = 0;  // of the receipt
  // Which tokens of the answer (the first is 0) are the first to differ: drawn, and in the logits
  // they were drawn from. None: all are the same.
  std::optional<int64_t> token_departs, logits_depart;
  std::string expected_text, got_text;  // of token_departs; empty: the answer ended there
  // What is not as it was: another model, CPU target or version.
  std::vector<std::string> changes;
};
// Answers once more as the receipt says, on the CPU target it says when this machine has it.
LLMRUN_API Result<Replay> replay(const std::filesystem::path& model, std::string_view receipt,
                                 const LoadOptions& options = {});

}  // namespace llmrun
