// Statements of Go templates: text, if, with, range, template.
#include <optional>

#include "base/error.h"
#include "chat/go_template/interpreter.h"
#include "chat/go_template/lexer.h"

namespace llmrun::chat::go_template {

Result<void> Interpreter::spend(uint64_t steps) {
  steps_ += steps;
  if (steps_ <= limits_.max_steps) return {};
  return make_error(ErrorCode::kBadModel,
                    "the template does not end within {} steps; give another one with --template",
                    limits_.max_steps);
}

// What functions make counts until the end of the render.
Result<void> Interpreter::book(uint64_t bytes) {
  made_bytes_ += bytes;
  if (made_bytes_ <= limits_.max_memory_bytes) return spend(bytes >> 8U);
  return make_error(ErrorCode::kBadModel,
                    "the template makes more than {} bytes of texts and lists",
                    limits_.max_memory_bytes);
}

tl::unexpected<Error> Interpreter::error(size_t offset, std::string message) const {
  return error_at(template_.source, offset, std::move(message));
}

Result<void> Interpreter::run(const Nodes& nodes, const Value& data) {
  variables_.assign(1, {"$", data});
  first_variable_ = 0;
  LLMRUN_TRY(walk(nodes, data));
  return {};
}

RenderedText Interpreter::take() {
  const Text text = out_.take();
  RenderedText result;
  result.text = std::string(text.view());
  if (text.mixed()) {
    size_t begin = 0;
    for (const Text::Run& run : text.runs()) {
      result.segments.push_back({begin, run.end, run.trusted});
      begin = run.end;
    }
  } else if (!text.empty()) {
    result.segments.push_back({0, text.size(), text.trusted()});
  }
  return result;
}

Result<Interpreter::Flow> Interpreter::walk(const Nodes& nodes, const Value& dot) {
  if (++depth_ > limits_.max_depth) {
    return make_error(ErrorCode::kBadModel, "the template calls itself more than {} deep",
                      limits_.max_depth);
  }
  Flow flow = Flow::kNormal;
  for (const Node& node : nodes) {
    LLMRUN_ASSIGN(flow, walk(node, dot));
    if (flow != Flow::kNormal) break;
  }
  --depth_;
  return flow;
}

Result<Interpreter::Flow> Interpreter::walk(const Node& node, const Value& dot) {
  LLMRUN_TRY(spend(1));
  switch (node.kind) {
    case Node::Kind::kText:
      out_.append(node.text);
      break;
    case Node::Kind::kAction: {
      LLMRUN_ASSIGN(const Value value, pipeline(*node.pipeline, dot));
      if (node.pipeline->variables.empty()) LLMRUN_TRY(write(value));
      break;
    }
    case Node::Kind::kIf:
    case Node::Kind::kWith:
      return branch(node, dot);
    case Node::Kind::kRange:
      return range(node, dot);
    case Node::Kind::kTemplate:
      LLMRUN_TRY(call_template(node, dot));
      break;
    case Node::Kind::kBreak:
      return Flow::kBreak;
    case Node::Kind::kContinue:
      return Flow::kContinue;
  }
  if (!out_.overflow()) return Flow::kNormal;
  return error(node.offset, fmt::format("the text is longer than the limit of {} bytes",
                                        limits_.max_output_bytes));
}

Result<void> Interpreter::write(const Value& value) {
  const size_t before = out_.size();
  if (value.is_nil()) {
    out_.append("<no value>", true);
  } else {
    print(out_, value);
  }
  return spend((out_.size() - before) >> 8U);
}

Result<Interpreter::Flow> Interpreter::branch(const Node& node, const Value& dot) {
  const size_t mark = variables_.size();
  LLMRUN_ASSIGN(const Value value, pipeline(*node.pipeline, dot));
  Flow flow = Flow::kNormal;
  if (truth(value)) {
    LLMRUN_ASSIGN(flow, walk(node.body, node.kind == Node::Kind::kWith ? value : dot));
  } else {
    LLMRUN_ASSIGN(flow, walk(node.otherwise, dot));
  }
  variables_.resize(mark);
  return flow;
}

Result<Interpreter::Flow> Interpreter::range(const Node& node, const Value& dot) {
  const size_t outer = variables_.size();
  LLMRUN_ASSIGN(const Value value, pipeline(*node.pipeline, dot));
  const List* const list = value.as_list();
  const Object* const map = value.as_object();
  if (list == nullptr && (map == nullptr || map->is_struct) && !value.is_nil()) {
    return error(node.offset, fmt::format("range can't iterate over a {}", type_name(value)));
  }
  size_t n = 0;
  if (list != nullptr) n = list->items.size();
  if (map != nullptr) n = map->members.size();
  Flow flow = Flow::kNormal;
  for (size_t i = 0; i < n && flow == Flow::kNormal; ++i) {
    const Value index = map != nullptr ? Value::text(map->members[i].name, map->members[i].trusted)
                                       : Value(static_cast<int64_t>(i));
    LLMRUN_ASSIGN(flow,
                  iterate(node, index, map != nullptr ? map->members[i].value : list->items[i]));
    if (flow == Flow::kContinue) flow = Flow::kNormal;
  }
  flow = Flow::kNormal;
  if (n == 0) {
    LLMRUN_ASSIGN(flow, walk(node.otherwise, dot));
  }
  variables_.resize(outer);
  return flow;
}

Result<Interpreter::Flow> Interpreter::iterate(const Node& node, const Value& index,
                                               const Value& element) {
  LLMRUN_TRY(spend(1));
  const auto& names = node.pipeline->variables;
  if (!names.empty()) *variable(names.back()) = element;
  if (names.size() > 1) *variable(names.front()) = index;
  const size_t mark = variables_.size();
  LLMRUN_ASSIGN(const Flow flow, walk(node.body, element));
  variables_.resize(mark);
  return flow;
}

// The called template sees none of the variables here.
Result<void> Interpreter::call_template(const Node& node, const Value& dot) {
  const auto found = template_.defined.find(node.name);
  if (found == template_.defined.end()) {
    return error(node.offset, fmt::format("no template \"{}\" is defined", node.name));
  }
  Value data;
  if (node.pipeline != nullptr) {
    LLMRUN_ASSIGN(data, pipeline(*node.pipeline, dot));
  }
  const size_t mark = variables_.size();
  const size_t outer = std::exchange(first_variable_, mark);
  variables_.emplace_back("$", data);
  LLMRUN_TRY(walk(found->second, data));
  variables_.resize(mark);
  first_variable_ = outer;
  return {};
}

}  // namespace llmrun::chat::go_template
