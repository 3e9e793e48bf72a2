// A model, its session and the messages so far: what one-shot and interactive runs share.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/chat_store.h"
#include "cli/run_settings.h"
#include "llmrun/model.h"

namespace llmrun::cli {

// Whether the template that chats are rendered with can be asked for thinking.
bool has_thinking_switch(const RunSettings& settings, const ModelInfo& info);

class Conversation {
 public:
  // Opens the model and makes the session. `chat` may be one to go on with. Settings outlive this.
  static Result<std::unique_ptr<Conversation>> open(RunSettings& settings, Chat chat);

  // Adds the user's message and answers it. After an error, or when nothing was said before the
  // user stopped it, the message is taken back.
  Result<Generation> ask(std::string text, const StreamCallback& on_text);
  // Answers the last question once more, with another draw.
  Result<Generation> ask_again(const StreamCallback& on_text);
  // Continues raw text without a template; not part of the chat.
  Result<Generation> complete(std::string_view text, const StreamCallback& on_text);

  // Removes the last question and its answer and gives the question; empty when there is none.
  std::string take_back();
  void clear();  // forgets all but the system message and what the model's chats begin with
  void set_system(std::string text);
  [[nodiscard]] std::string system() const;
  // A new context; the weights stay.
  Result<void> set_context(int64_t n_tokens);
  // Goes on with another chat (and its options).
  void replace_chat(Chat chat);

  [[nodiscard]] SamplingOptions sampling() const;  // what is in force
  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] Session& session() { return *session_; }
  [[nodiscard]] Chat& chat() { return chat_; }
  [[nodiscard]] const std::optional<Generation>& last() const { return last_; }

 private:
  Conversation(RunSettings& settings, Model model, Session session, Chat chat)
      : settings_(settings),
        model_(std::move(model)),
        session_(std::make_unique<Session>(std::move(session))),
        chat_(std::move(chat)) {}
  void begin_chat();  // with the messages that travel with the model
  Result<Generation> generate(const StreamCallback& on_text, std::optional<uint64_t> seed);
  [[nodiscard]] GenerateOptions generate_options() const;

  RunSettings& settings_;
  Model model_;
  std::unique_ptr<Session> session_;  // its address is known to the signal handler
  Chat chat_;
  std::optional<Generation> last_;
  uint64_t n_again_ = 0;
};

}  // namespace llmrun::cli
