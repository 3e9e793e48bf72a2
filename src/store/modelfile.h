// Modelfiles: the text form in which people describe a model made of another one, with parameters,
// a system message, a template, adapters. The grammar is Ollama's:
//   file  := { "#" comment | WORD blank value }        letters of WORD in any case
//   value := rest of the line | "text" | """text"""    quoted text may span lines; no escapes
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::store {

struct ModelfileParameter {
  std::string name;
  std::string value;
  int line = 0;
};

struct Modelfile {
  std::string from;  // a path or a name
  int from_line = 0;
  std::vector<ModelfileParameter> parameters;  // in order; "stop" may come several times
  std::optional<std::string> chat_template;
  std::optional<std::string> system;
  std::vector<std::string> adapters;  // paths
  std::vector<std::string> licenses;
  std::vector<Message> messages;
  std::string requires_version;  // of the program that runs it; for others to read
};

inline constexpr uint64_t kMaxModelfileBytes = uint64_t{16} << 20;

// kUsage, with the line in the message: "line 3: …".
Result<Modelfile> parse_modelfile(std::string_view text);

// Text that parse_modelfile() reads back. Comments are lines for the top, without '#'.
std::string write_modelfile(const Modelfile& file, std::string_view comments = {});

}  // namespace llmrun::store
