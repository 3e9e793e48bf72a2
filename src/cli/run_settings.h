// Everything `llmrun run` was asked for, and what /set can change later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/model_argument.h"
#include "cli/sampling_fields.h"
#include "llmrun/model.h"

namespace llmrun::cli {

struct RunSettings {
  std::string model;   // as the user named it
  std::string prompt;  // the words after MODEL
  std::vector<std::string> files;
  std::optional<std::string> system;
  LoadFlags load;
  ContextFlags context;
  SamplingChoices sampling;
  int64_t max_tokens = -1;
  bool max_tokens_given = false;  // else the model's parameters may say
  std::vector<std::string> stop;
  bool ignore_end = false;
  Overflow on_overflow = Overflow::kError;
  bool loop_guard = false;
  std::string receipt;   // the file to write; empty: none
  RenderOptions render;  // thinking switch, template
  bool raw = false;      // continue the prompt without a template
  bool json = false;     // the answer as an object
  bool plain = false;    // Markdown as it is
  bool hide_thinking = false;
  bool verbose = false;
  bool save = true;  // keep an interactive chat
  bool resume = false;
  std::string resume_id;  // empty: the last one
};

}  // namespace llmrun::cli
