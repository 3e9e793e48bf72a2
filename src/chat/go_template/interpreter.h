// Runs a parsed Go template over data, within the limits of one render.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/chat_template.h"
#include "chat/go_template/ast.h"
#include "chat/go_template/functions.h"

namespace llmrun::chat::go_template {

class Interpreter {
 public:
  Interpreter(const Template& source, const TemplateLimits& limits, const std::tm& now)
      : template_(source), limits_(limits), now_(now), out_(limits.max_output_bytes) {}

  // Runs nodes of the template (its body, or a part of it) with `data` as "." and "$"; the output
  // is added to that of the runs before. Errors: kBadModel with the place.
  Result<void> run(const Nodes& nodes, const Value& data);
  RenderedText take();

 private:
  enum class Flow : uint8_t { kNormal, kBreak, kContinue };
  using Variables = std::vector<std::pair<std::string, Value>>;

  Result<Flow> walk(const Nodes& nodes, const Value& dot);
  Result<Flow> walk(const Node& node, const Value& dot);
  Result<Flow> branch(const Node& node, const Value& dot);
  Result<Flow> range(const Node& node, const Value& dot);
  Result<Flow> iterate(const Node& node, const Value& index, const Value& element);
  Result<void> call_template(const Node& node, const Value& dot);
  Result<void> write(const Value& value);

  Result<Value> pipeline(const Pipeline& pipeline, const Value& dot);
  Result<Value> command(const Command& command, const Value& dot, const Value* piped);
  Result<Value> function(const Command& command, const Value& dot, const Value* piped);
  Result<Value> short_circuit(const Command& command, const Value& dot, const Value* piped);
  Result<Value> operand(const Operand& operand, const Value& dot);
  Result<Value> fields(const Operand& operand, Value value);
  Result<Value> field(const Operand& operand, const Value& receiver, const std::string& name) const;

  Result<void> spend(uint64_t steps);
  Result<void> book(uint64_t bytes);
  [[nodiscard]] tl::unexpected<Error> error(size_t offset, std::string message) const;
  [[nodiscard]] Value* variable(std::string_view name);

  const Template& template_;
  TemplateLimits limits_;
  std::tm now_;
  TextBuilder out_;
  Variables variables_;
  size_t first_variable_ = 0;  // of the definition that runs
  uint64_t steps_ = 0;
  uint64_t made_bytes_ = 0;
  uint32_t depth_ = 0;
};

}  // namespace llmrun::chat::go_template
