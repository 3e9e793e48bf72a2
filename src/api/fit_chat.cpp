// Leaves messages out from the front.
#include "api/fit_chat.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "engine/prefix_tree.h"

namespace llmrun {
namespace {

bool is_system(const Message& message) {
  return message.role == "system" || message.role == "developer";
}

// The tokens of `chat` that any question after this system message would begin with.
int64_t system_tokens(const ModelImpl& model, std::span<const Message> system,
                      const RenderOptions& render, const RenderedChat& chat) {
  std::vector<Message> probe(system.begin(), system.end());
  Message question;
  question.role = "user";
  question.content = "\u2026";
  probe.push_back(std::move(question));
  const auto rendered = render_chat(model, probe, render);
  if (!rendered) return 0;  // a template that wants more than one question
  return static_cast<int64_t>(engine::common_prefix(rendered->tokens, chat.tokens));
}

}  // namespace

Result<FittedChat> fit_chat(const ModelImpl& model, std::span<const Message> messages,
                            const RenderOptions& render, const GenerateOptions& options,
                            int64_t context_tokens) {
  FittedChat fitted;
  LLMRUN_ASSIGN(fitted.chat, render_chat(model, messages, render));
  if (options.on_overflow == Overflow::kError) return fitted;
  const auto first = static_cast<size_t>(
      std::find_if_not(messages.begin(), messages.end(), is_system) - messages.begin());
  const auto n_all = static_cast<int64_t>(fitted.chat.tokens.size());
  if (n_all > context_tokens) {
    // A chat goes on with a question: what is left begins with one.
    std::vector<size_t> starts;
    for (size_t i = first + 1; i < messages.size(); ++i) {
      if (messages[i].role == "user") starts.push_back(i);
    }
    const int64_t room = context_tokens - engine::reserved_for_answer(options, context_tokens);
    const auto rendered_from = [&](size_t start) {
      std::vector<Message> left(messages.begin(), messages.begin() + static_cast<ptrdiff_t>(first));
      left.insert(left.end(), messages.begin() + static_cast<ptrdiff_t>(start), messages.end());
      return render_chat(model, left, render);
    };
    // The earliest start that fits, else the last one: shorter chats have fewer tokens.
    size_t low = 0, high = starts.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      LLMRUN_ASSIGN(RenderedChat shorter, rendered_from(starts[middle]));
      const bool fits = static_cast<int64_t>(shorter.tokens.size()) <= room;
      if (fits || middle + 1 == starts.size()) fitted.chat = std::move(shorter);
      if (fits) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    fitted.n_dropped = n_all - static_cast<int64_t>(fitted.chat.tokens.size());
  }
  fitted.keep_tokens = system_tokens(model, messages.first(first), render, fitted.chat);
  return fitted;
}

}  // namespace llmrun
