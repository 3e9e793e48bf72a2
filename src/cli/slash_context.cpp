// /context: what fills the context, message by message and as a bar.
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/answer_printer.h"
#include "cli/interactive.h"
#include "cli/output.h"
#include "cli/slash_commands.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

// The context as a bar of its parts: what of the prompt was in the cache, what was read, what was
// thought and answered, and what is left.
void print_ledger(InteractiveChat& chat, int64_t message_tokens) {
  const Session& session = chat.conversation().session();
  const int64_t size = session.context_tokens();
  const auto& last = chat.conversation().last();
  const ContextUsage usage = last ? last->usage : ContextUsage{.prompt = message_tokens};
  const int64_t used = std::min(size, usage.prompt + usage.thinking + usage.answer);
  struct Part {
    const char* name;
    const char* mark;
    int64_t n_tokens;
  };
  const Part parts[] = {{"cached", "▓", usage.cached},
                        {"read", "█", usage.prompt - usage.cached},
                        {"thinking", "▒", usage.thinking},
                        {"answer", "▚", usage.answer},
                        {"free", "░", std::max<int64_t>(0, size - used)}};
  constexpr int64_t kWidth = 50;
  std::string bar, legend;
  int64_t tokens = 0, cells = 0;
  for (const Part& part : parts) {
    tokens += part.n_tokens;
    for (; cells < std::min(kWidth, (tokens * kWidth + size / 2) / size); ++cells) bar += part.mark;
    if (part.n_tokens > 0) legend += fmt::format("  {} {} {}", part.mark, part.name, part.n_tokens);
  }
  print("{}  {} of {} tokens ({:.1f} %), {}\n{}\n", bar, used, size,
        100.0 * static_cast<double>(used) / static_cast<double>(size),
        session.memory().context_source, legend);
  if (!last) return;
  print("  reserved for the last answer {}, dropped {}\n", usage.reserved, usage.dropped);
  if (last->departure) print("  {}\n", safe_for_terminal(departure_text(*last->departure)));
}

}  // namespace

Result<void> command_context(InteractiveChat& chat, const std::string&) {
  Conversation& conversation = chat.conversation();
  TextTable table;
  table.add_column("MESSAGE");
  table.add_column("TOKENS", Align::kRight);
  table.add_column("TEXT");
  int64_t total = 0;
  for (const Message& message : conversation.chat().messages) {
    LLMRUN_ASSIGN(const std::vector<TokenId> tokens,
                  conversation.model().tokenize(message.content, {.add_special = false}));
    total += static_cast<int64_t>(tokens.size());
    std::string text = safe_for_terminal(message.content);
    std::replace(text.begin(), text.end(), '\n', ' ');
    table.add_row({message.role, fmt::format("{}", tokens.size()), shorten(text, 48)});
  }
  if (table.n_rows() > 0) write_out(table.text());
  print_ledger(chat, total);
  return {};
}

}  // namespace llmrun::cli
