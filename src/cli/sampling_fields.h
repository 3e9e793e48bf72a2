// Every sampling option as a row of one table: the options of `run`, `/set`, `/show` and the chat
// files are made from it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/option_table.h"
#include "llmrun/sampling_options.h"

namespace llmrun::cli {

struct SamplingField {
  std::string name;  // "top-k"; /set takes "top_k" as well
  std::string alias;
  char letter = 0;
  std::string value;  // how the help writes the value
  std::string help;
  std::function<Result<void>(SamplingOptions&, std::string_view)> set;
  std::function<std::string(const SamplingOptions&)> get;  // text that set() reads
};

std::span<const SamplingField> sampling_fields();
const SamplingField* find_sampling_field(std::string_view name);  // '-' and '_' are alike

// What a user asked for, over what the model recommends: names of fields and texts of values.
using SamplingChoices = std::vector<std::pair<std::string, std::string>>;
// Checks the value and remembers it in place of an earlier one.
Result<void> choose(SamplingChoices& choices, std::string_view name, std::string_view value);
Result<void> apply_sampling(const SamplingChoices& choices, SamplingOptions& options);

void add_sampling_options(OptionTable& table, SamplingChoices* choices);

}  // namespace llmrun::cli
