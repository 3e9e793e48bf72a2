// Lines of the output: what OpenAI's batch output has, made of nothing but the input, the model and
// the options, so that two runs give the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "batch/row.h"
#include "llmrun/embedder.h"
#include "llmrun/error.h"
#include "llmrun/generation.h"

namespace llmrun::batch {

// The part of a line's ids that tells it from all other lines of all batches.
Result<std::string> line_key(std::string_view job_hash, int64_t line);

struct LineHead {
  std::string key;
  std::string model;
};

// `text` is the answer as the endpoint tells it; `shared_tokens` of the prompt were computed for
// another row.
std::string answer_line(const LineHead& head, const Row& row, const Generation& generation,
                        std::string_view text, int64_t shared_tokens);
std::string embedding_line(const LineHead& head, const Row& row,
                           std::span<const Embedding> vectors);
std::string error_line(const LineHead& head, const Row& row, const Error& error);

// "stop" or "length": OpenAI's names. Why exactly an answer ended is in "stop_reason".
std::string_view finish_reason(StopReason reason);

}  // namespace llmrun::batch
