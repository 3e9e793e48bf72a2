// How a template is to be run, found by looking at what it reads; the last turn's part of it.
#include <algorithm>
#include <functional>

#include "chat/go_template/conversation.h"

namespace llmrun::chat::go_template {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Whether a field of that name is read anywhere, in any case of letters.
bool reads(const Nodes& nodes, std::string_view name);

bool reads(const Pipeline& pipeline, std::string_view name) {
  for (const Command& command : pipeline.commands) {
    for (const Operand& operand : command.operands) {
      const bool is_read =
          std::any_of(operand.fields.begin(), operand.fields.end(),
                      [&](const std::string& field) { return lower(field) == name; });
      if (is_read || (operand.pipeline != nullptr && reads(*operand.pipeline, name))) return true;
    }
  }
  return false;
}

bool reads(const Nodes& nodes, std::string_view name) {
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node& node) {
    return (node.pipeline != nullptr && reads(*node.pipeline, name)) || reads(node.body, name) ||
           reads(node.otherwise, name);
  });
}

bool reads(const Template& source, std::string_view name) {
  return reads(source.body, name) ||
         std::any_of(source.defined.begin(), source.defined.end(),
                     [&](const auto& entry) { return reads(entry.second, name); });
}

// Removes what comes after the first action that prints .Response.
class Cutter {
 public:
  void cut(Nodes& nodes) {
    Nodes kept;
    for (Node& node : nodes) {
      if (cut_) break;
      if (node.kind == Node::Kind::kAction) {
        if (!cut_action(node)) continue;
      } else {
        cut(node.body);
        cut(node.otherwise);
      }
      kept.push_back(std::move(node));
    }
    nodes = std::move(kept);
  }

 private:
  static bool is_response(const Operand& operand) {
    return operand.kind == Operand::Kind::kDot &&
           std::find(operand.fields.begin(), operand.fields.end(), "Response") !=
               operand.fields.end();
  }

  // Of the pipeline itself nothing after .Response stays; an action of which a whole command goes,
  // goes. False: it goes.
  bool cut_action(Node& node) {
    auto pipeline = std::make_shared<Pipeline>(*node.pipeline);
    for (Command& command : pipeline->commands) {
      std::vector<Operand> kept;
      for (Operand& operand : command.operands) {
        if (cut_) break;
        cut_ = is_response(operand);
        kept.push_back(std::move(operand));
      }
      if (kept.empty()) return false;
      command.operands = std::move(kept);
    }
    node.pipeline = std::move(pipeline);
    return true;
  }

  bool cut_ = false;
};

Node response_node() {
  Operand operand;
  operand.fields = {"Response"};
  auto pipeline = std::make_shared<Pipeline>();
  pipeline->commands.push_back({{std::move(operand)}});
  Node node;
  node.kind = Node::Kind::kAction;
  node.pipeline = std::move(pipeline);
  return node;
}

}  // namespace

ChatForm chat_form(std::shared_ptr<const Template> source) {
  ChatForm form;
  form.reads_messages = reads(*source, "messages");
  form.every_turn = source->body;
  if (!form.reads_messages && !reads(*source, "response")) {
    form.every_turn.push_back(response_node());
  }
  form.last_turn = form.every_turn;
  Cutter().cut(form.last_turn);
  form.source = std::move(source);
  return form;
}

}  // namespace llmrun::chat::go_template
