// The input of a batch: OpenAI's batch lines, a text file with a prompt on every line, or a folder
// of text files. All three become rows; a line that cannot be run becomes a row with a fault.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "batch/row.h"
#include "llmrun/error.h"

namespace llmrun::batch {

enum class InputForm : uint8_t { kJsonLines, kTextLines, kFolder };

// How texts (of a file of lines, or of a folder) become requests.
struct PromptForm {
  std::string system;           // a system message, or empty
  std::string prompt_template;  // with "{text}" in it; empty: the text itself
  bool raw = false;             // continued as it is, without the model's chat template
};

struct Input {
  InputForm form = InputForm::kJsonLines;
  std::vector<Row> rows;  // in input order
  std::string sha256;     // of all that was read
};

// Largest things that are read.
inline constexpr uint64_t kMaxInputBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxRows = 1'000'000;
inline constexpr int kMaxJsonDepth = 64;

// Faults of single rows are in the rows; an error is about the whole input.
Result<Input> read_input(const std::string& path, const PromptForm& form);

// The rows of a JSONL text. Also finds what is wrong between lines (ids that are used twice).
Result<std::vector<Row>> read_json_lines(std::string_view text);
Result<std::vector<Row>> read_text_lines(std::string_view text, const PromptForm& form);

}  // namespace llmrun::batch
