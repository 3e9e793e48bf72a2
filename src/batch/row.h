// A request of a batch file, as data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llmrun/embedding_options.h"
#include "llmrun/error.h"
#include "llmrun/message.h"
#include "llmrun/model.h"
#include "llmrun/sampling_options.h"

namespace llmrun::batch {

enum class Endpoint : uint8_t { kChat, kCompletion, kEmbedding };

// What a row asks of the sampler over what holds for all rows.
struct SamplingChanges {
  std::vector<std::pair<float SamplingOptions::*, float>> numbers;
  std::optional<int32_t> top_k;
  std::optional<uint64_t> seed;
  std::vector<std::pair<TokenId, float>> logit_bias;

  void apply(SamplingOptions& options) const {
    for (const auto& [member, value] : numbers) options.*member = value;
    if (top_k) options.top_k = *top_k;
    if (seed) options.seed = seed;
    if (!logit_bias.empty()) options.logit_bias = logit_bias;
  }
};

struct Row {
  int64_t line = 0;  // where it stands in the input, from 1; of a folder the number of the file
  std::string
      custom_id;  // of a folder the name of the file without ".txt"; may be empty with fault
  Endpoint endpoint = Endpoint::kChat;
  std::string model;  // as the line names it

  std::vector<Message> messages;  // chat
  RenderOptions render;
  std::string prompt;              // completion …
  std::vector<TokenId> token_ids;  // … or this, when it is not empty
  SamplingChanges sampling;
  std::optional<int64_t> max_tokens;
  std::vector<std::string> stop;
  bool ignore_end = false;

  std::vector<std::string> texts;  // embeddings
  EmbedOptions embed;
  bool base64 = false;  // vectors as base64 of little-endian float32

  std::optional<Error> fault;  // why the row cannot be run
};

}  // namespace llmrun::batch
