// The chat on a terminal: reads messages and /commands, prints answers, saves every turn.
#pragma once

#include <optional>
#include <string>

#include "cli/chat_store.h"
#include "cli/conversation.h"
#include "cli/line_editor.h"
#include "cli/run_settings.h"

namespace llmrun::cli {

class InteractiveChat {
 public:
  InteractiveChat(RunSettings& settings, Conversation& conversation);
  // Until the user leaves.
  Result<void> run();

  // For the commands.
  RunSettings& settings() { return settings_; }
  Conversation& conversation() { return conversation_; }
  ChatStore& store() { return store_; }
  LineEditor& editor() { return editor_; }
  void answer(const std::string& text);  // asks, prints, saves
  void answer_again();
  void save();
  void leave() { leaving_ = true; }

 private:
  std::optional<std::string> read_message();
  bool finish_quoted(std::string& message);
  void show(const Result<Generation>& generation);

  RunSettings& settings_;
  Conversation& conversation_;
  ChatStore store_;
  LineEditor editor_;
  bool leaving_ = false;
};

// Runs a line that begins with '/'. False when it is no command but a message (a path, say).
bool run_slash_command(InteractiveChat& chat, const std::string& line);

// Reports an error without ending the chat.
void say_error(const Error& error);

}  // namespace llmrun::cli
