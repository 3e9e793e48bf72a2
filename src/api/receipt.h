// What a receipt is written from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/model_impl.h"

namespace llmrun {

struct ReceiptInput {
  std::string_view model_name;
  const ContextOptions* context = nullptr;
  int64_t context_tokens = 0;
  const std::vector<TokenId>* prompt = nullptr;  // as the engine was given it
  const GenerateOptions* options = nullptr;
  const Generation* generation = nullptr;  // with logits_hashes
  std::string_view template_source;        // empty: raw tokens
};
// One JSON object.
Result<std::string> receipt_json(ModelImpl& model, const ReceiptInput& input);

}  // namespace llmrun
