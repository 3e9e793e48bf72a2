// The /commands of the interactive chat, as a table.
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "cli/interactive.h"
#include "cli/output.h"
#include "cli/slash_commands.h"
#include "cli/text_layout.h"
#include "store/paths.h"

namespace llmrun::cli {
namespace {

struct SlashCommand {
  std::string_view name;
  std::string_view argument;
  std::string_view help;
  Result<void> (*run)(InteractiveChat&, const std::string& argument);
};

Result<void> command_show(InteractiveChat& chat, const std::string& argument) {
  const ModelInfo& info = chat.conversation().model().info();
  if (argument == "parameters" || argument == "settings") {
    show_settings(chat);
  } else if (argument == "system") {
    const std::string system = chat.conversation().system();
    print("{}\n", system.empty() ? "No system message." : safe_for_terminal(system));
  } else if (argument == "template") {
    const store::ModelLayers& layers = chat.settings().load.layers;
    print("{}\n", safe_for_terminal(!info.chat_template.empty()
                                        ? info.chat_template
                                        : layers.chat_template.value_or(info.template_source)));
  } else if (argument == "license") {
    for (const std::string& license : chat.settings().load.layers.licenses) {
      print("{}\n", safe_for_terminal(license));
    }
    print("{}\n",
          info.license.empty() ? "The file names no license." : safe_for_terminal(info.license));
  } else if (argument == "modelfile") {
    write_out(safe_for_terminal(store::write_modelfile(
        store::as_modelfile(chat.settings().load.layers, chat.settings().model))));
  } else if (argument.empty() || argument == "info") {
    print("model         {} ({})\n",
          safe_for_terminal(info.name.empty() ? chat.settings().model : info.name),
          info.path.string());
    print("architecture  {}, {} parameters, {:.2f} bits per weight\n", info.architecture,
          format_count(info.n_parameters), info.bits_per_weight);
    print("template      {}\n", info.template_source);
    print("device        {}\n", chat.conversation().model().device());
    print("memory        {}\n", format_bytes(chat.conversation().session().memory().total_bytes));
    print("/show parameters, system, template, license or modelfile tells more.\n");
  } else {
    return make_error(ErrorCode::kUsage,
                      "/show takes info, parameters, system, template, license or modelfile, not "
                      "'{}'",
                      argument);
  }
  return {};
}

Result<void> command_clear(InteractiveChat& chat, const std::string&) {
  chat.conversation().clear();
  print("A new chat{}.\n",
        chat.conversation().system().empty() ? "" : " with the same system message");
  return {};
}

Result<void> command_save(InteractiveChat& chat, const std::string& argument) {
  if (argument.empty()) return make_error(ErrorCode::kUsage, "/save needs a NAME");
  const Chat& current = chat.conversation().chat();
  if (const Result<Chat> other = chat.store().load(argument); other && other->id != current.id) {
    return make_error(ErrorCode::kUsage, "there is another chat called '{}'; take another name",
                      argument);
  }
  chat.conversation().chat().name = argument;
  chat.conversation().chat().sampling = chat.settings().sampling;
  LLMRUN_TRY(chat.store().save(chat.conversation().chat()));
  print("Saved as '{}'. 'llmrun run --resume={}' goes on with it.\n", argument, argument);
  return {};
}

void print_chat(const Chat& chat) {
  for (const Message& message : chat.messages) {
    if (message.role == "user") {
      print(">>> {}\n", safe_for_terminal(message.content));
    } else if (message.role == "assistant") {
      print("{}\n", safe_for_terminal(message.content));
    }
  }
}

Result<void> command_load(InteractiveChat& chat, const std::string& argument) {
  if (argument.empty()) {
    const std::vector<Chat> chats = chat.store().list();
    TextTable table;
    for (const char* title : {"ID", "NAME", "MODEL", "FIRST QUESTION"}) table.add_column(title);
    for (const Chat& each : chats) {
      std::string question;
      for (const Message& message : each.messages) {
        if (message.role == "user" && question.empty()) question = message.content;
      }
      std::replace(question.begin(), question.end(), '\n', ' ');
      table.add_row({each.id, safe_for_terminal(each.name), safe_for_terminal(each.model),
                     shorten(safe_for_terminal(question), 40)});
    }
    if (chats.empty()) print("No saved chats.\n");
    if (!chats.empty()) print("{}/load ID or NAME goes on with one.\n", table.text());
    return {};
  }
  LLMRUN_ASSIGN(Chat loaded, chat.store().load(argument));
  if (loaded.model != chat.settings().model) {
    print("(this chat was with {}; it goes on with {})\n", safe_for_terminal(loaded.model),
          chat.settings().model);
  }
  print_chat(loaded);
  chat.conversation().replace_chat(std::move(loaded));
  return {};
}

Result<void> command_regen(InteractiveChat& chat, const std::string&) {
  chat.answer_again();
  return {};
}

Result<void> command_retry(InteractiveChat& chat, const std::string& argument) {
  const std::string question = chat.conversation().take_back();
  if (question.empty()) return make_error(ErrorCode::kUsage, "there is no question yet");
  if (!argument.empty()) {
    chat.answer(unquoted(argument));
  } else if (question.find('\n') != std::string::npos) {
    chat.answer(question);
  } else {
    chat.editor().prefill(question);
  }
  return {};
}

Result<void> command_bye(InteractiveChat& chat, const std::string&) {
  chat.leave();
  return {};
}

Result<void> command_help(InteractiveChat&, const std::string& argument);

constexpr SlashCommand kCommands[] = {
    {"/help", "", "this list; /? does the same", command_help},
    {"/set", "[NAME VALUE]", "change a setting; alone: list them", command_set},
    {"/show", "[WHAT]", "info, parameters, system, template, license or modelfile", command_show},
    {"/clear", "", "start a new chat; the system message stays", command_clear},
    {"/save", "NAME", "give this chat a name", command_save},
    {"/load", "[NAME]", "go on with a saved chat; alone: list them", command_load},
    {"/regen", "", "answer the last question anew", command_regen},
    {"/retry", "[TEXT]", "take the last question back and edit it, or ask TEXT instead",
     command_retry},
    {"/context", "", "show what fills the context", command_context},
    {"/bye", "", "leave, as Ctrl-D does", command_bye},
};

Result<void> command_help(InteractiveChat&, const std::string&) {
  for (const SlashCommand& command : kCommands) {
    print("  {:<22}{}\n", fmt::format("{} {}", command.name, command.argument), command.help);
  }
  write_out(
      "\n"
      "  \"\"\"                   begins and ends a message of several lines\n"
      "  Ctrl-C                stops the answer; the chat stays\n"
      "  Ctrl-D                leaves\n"
      "  Up, Down, Ctrl-R      the history\n");
  return {};
}

constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"/?", "/help"}, {"/exit", "/bye"}, {"/quit", "/bye"}};

}  // namespace

std::pair<std::string, std::string> first_word(std::string_view text) {
  const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  const size_t next = std::min(text.find_first_not_of(" \t\n", end), text.size());
  return {std::string(text.substr(0, end)), std::string(text.substr(next))};
}

std::string unquoted(std::string text) {
  if (text.starts_with("\"\"\"")) {
    text.erase(0, 3);
    if (text.ends_with("\"\"\"")) text.resize(text.size() - 3);
  }
  return text;
}

bool run_slash_command(InteractiveChat& chat, const std::string& line) {
  auto [name, argument] = first_word(line);
  if (name.find('/', 1) != std::string::npos) return false;  // a path is a message
  for (const auto& [alias, meant] : kAliases) {
    if (name == alias) name = meant;
  }
  for (const SlashCommand& command : kCommands) {
    if (command.name != name) continue;
    if (const Result<void> done = command.run(chat, argument); !done) say_error(done.error());
    return true;
  }
  print("Unknown command '{}'. Type /? for help.\n", safe_for_terminal(name));
  return true;
}

}  // namespace llmrun::cli
