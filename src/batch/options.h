// What a batch was asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "batch/input.h"
#include "llmrun/error.h"
#include "llmrun/model.h"
#include "llmrun/model_info.h"
#include "llmrun/sampling_options.h"

namespace llmrun::batch {

// A model, how it is to be loaded, and what travels with it beside its file.
struct FoundModel {
  std::filesystem::path path;
  LoadOptions load;
  std::vector<Message> opening =
      {};  // what chats begin with; its system message gives way to theirs
  std::function<void(GenerateOptions&)> apply_defaults = {};  // over what the file recommends
  std::string identity = {};  // of the opening and the defaults, as text
};

struct Options {
  std::string input;
  std::string output;  // a file, or for a folder of texts a folder; empty: only looked at
  std::string model;   // of all rows; empty: what each line names
  PromptForm prompts;
  int64_t max_tokens = -1;  // of rows that do not say; -1: until the end of turn or of the context
  // What the user chose over the model's recommendation, as names and texts, and applied.
  std::vector<std::pair<std::string, std::string>> sampling_choices;
  std::function<Result<void>(SamplingOptions&)> apply_sampling;
  bool loop_guard = true;   // ends answers that go round in a circle
  bool unordered = false;   // lines as they were finished
  bool keep_going = false;  // bad rows become error lines
  bool restart = false;     // forgets an earlier run and its output
  ContextOptions context;   // max_sequences 0: as many as are useful and fit
  std::function<Result<FoundModel>(const std::string&)> find_model;
};

inline constexpr int64_t kDefaultParallel = 32;

}  // namespace llmrun::batch
