// The tree of a parsed Go template.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chat/go_template/value.h"

namespace llmrun::chat::go_template {

struct Pipeline;
enum class Function : uint8_t;

// `.A.B`, `$x.A`, `(pipeline).A`, a constant, or a function's name.
struct Operand {
  enum class Kind : uint8_t { kDot, kVariable, kConstant, kNil, kFunction, kPipeline };
  Kind kind = Kind::kDot;
  std::vector<std::string> fields;  // looked up one after the other
  std::string name;                 // of the variable ("$x") or the function
  Function function{};
  Value constant;
  std::shared_ptr<Pipeline> pipeline;
  size_t offset = 0;  // in the source
};

// A function or value, and its arguments.
struct Command {
  std::vector<Operand> operands;
};

struct Pipeline {
  std::vector<std::string> variables;  // of `$x :=` or `$i, $x :=`
  bool assigns = false;                // `=`, to variables that exist
  std::vector<Command> commands;
  size_t offset = 0;
};

struct Node;
using Nodes = std::vector<Node>;

struct Node {
  enum class Kind : uint8_t { kText, kAction, kIf, kRange, kWith, kTemplate, kBreak, kContinue };
  Kind kind = Kind::kText;
  size_t offset = 0;
  Text text;
  std::shared_ptr<Pipeline> pipeline;  // null: {{template "x"}} without data
  Nodes body;
  Nodes otherwise;   // after else
  std::string name;  // of the template that is called
};

struct Template {
  std::string source;
  Nodes body;
  std::map<std::string, Nodes, std::less<>> defined;
};

// "line 3, column 7".
std::string place_of(std::string_view source, size_t offset);

}  // namespace llmrun::chat::go_template
