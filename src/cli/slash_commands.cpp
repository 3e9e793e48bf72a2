// The /commands of the interactive chat, as a table.
#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "cli/answer_printer.h"
#include "cli/interactive.h"
#include "cli/output.h"
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

// Splits "word rest".
std::pair<std::string, std::string> first_word(std::string_view text) {
  const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  const size_t next = std::min(text.find_first_not_of(" \t\n", end), text.size());
  return {std::string(text.substr(0, end)), std::string(text.substr(next))};
}

// A text that may stand in """.
std::string unquoted(std::string text) {
  if (text.starts_with("\"\"\"")) {
    text.erase(0, 3);
    if (text.ends_with("\"\"\"")) text.resize(text.size() - 3);
  }
  return text;
}

Result<bool> parse_switch(std::string_view text, std::string_view what) {
  if (text == "on" || text == "true" || text.empty()) return true;
  if (text == "off" || text == "false") return false;
  return make_error(ErrorCode::kUsage, "{} is on or off, not '{}'", what, text);
}

// ---- /set: what is not a sampling option --------------------------------------------------------

struct Setting {
  std::string_view name;
  std::string_view value;
  std::string_view help;
  Result<void> (*set)(InteractiveChat&, const std::string& value);
  std::string (*get)(InteractiveChat&);
};

std::string on_off(bool value) { return value ? "on" : "off"; }

Result<void> set_system(InteractiveChat& chat, const std::string& value) {
  chat.conversation().set_system(unquoted(value));
  chat.save();
  return {};
}

Result<void> set_think(InteractiveChat& chat, const std::string& value) {
  auto& render = chat.settings().render;
  if (value == "auto") {
    render.enable_thinking.reset();
    return {};
  }
  LLMRUN_ASSIGN(const bool on, parse_switch(value, "think"));
  if (!has_thinking_switch(chat.settings(), chat.conversation().model().info())) {
    return make_error(ErrorCode::kUsage,
                      "the chat template of this model has no switch for thinking");
  }
  render.enable_thinking = on;
  return {};
}

std::string get_think(InteractiveChat& chat) {
  const auto& value = chat.settings().render.enable_thinking;
  return value ? on_off(*value) : "auto";
}

Result<void> set_context(InteractiveChat& chat, const std::string& value) {
  LLMRUN_ASSIGN(const int64_t n_tokens, parse_integer(value, "ctx", {1, int64_t{1} << 40}));
  return chat.conversation().set_context(n_tokens);
}

Result<void> set_max_tokens(InteractiveChat& chat, const std::string& value) {
  LLMRUN_ASSIGN(chat.settings().max_tokens, parse_integer(value, "max-tokens", {-1}));
  return {};
}

Result<void> set_stop(InteractiveChat& chat, const std::string& value) {
  chat.settings().stop.clear();
  if (!value.empty()) chat.settings().stop.push_back(unquoted(value));
  return {};
}

Result<void> set_format(InteractiveChat& chat, const std::string& value) {
  if (value != "json" && value != "text") {
    return make_error(ErrorCode::kUsage, "format is text or json, not '{}'", value);
  }
  chat.settings().json = value == "json";
  return {};
}

constexpr Setting kSettings[] = {
    {"system", "TEXT", "the system message; nothing removes it", set_system,
     [](InteractiveChat& chat) { return chat.conversation().system(); }},
    {"think", "on|off|auto", "ask the template for thinking", set_think, get_think},
    {"ctx", "N", "tokens the context holds; the chat stays", set_context,
     [](InteractiveChat& chat) {
       return fmt::format("{}", chat.conversation().session().context_tokens());
     }},
    {"max-tokens", "N", "most tokens of an answer; -1: no limit", set_max_tokens,
     [](InteractiveChat& chat) { return fmt::format("{}", chat.settings().max_tokens); }},
    {"stop", "TEXT", "a text that ends the answer; nothing removes it", set_stop,
     [](InteractiveChat& chat) {
       std::string all;
       for (const std::string& each : chat.settings().stop)
         all += (all.empty() ? "" : " | ") + each;
       return all;
     }},
    {"format", "text|json", "print answers as text or as JSON objects", set_format,
     [](InteractiveChat& chat) { return std::string(chat.settings().json ? "json" : "text"); }},
    {"verbose", "on|off", "print times and speeds after an answer",
     [](InteractiveChat& chat, const std::string& value) -> Result<void> {
       LLMRUN_ASSIGN(chat.settings().verbose, parse_switch(value, "verbose"));
       return {};
     },
     [](InteractiveChat& chat) { return on_off(chat.settings().verbose); }},
    {"plain", "on|off", "show Markdown as it is written",
     [](InteractiveChat& chat, const std::string& value) -> Result<void> {
       LLMRUN_ASSIGN(chat.settings().plain, parse_switch(value, "plain"));
       return {};
     },
     [](InteractiveChat& chat) { return on_off(chat.settings().plain); }},
    {"hide-thinking", "on|off", "do not show what the model thinks",
     [](InteractiveChat& chat, const std::string& value) -> Result<void> {
       LLMRUN_ASSIGN(chat.settings().hide_thinking, parse_switch(value, "hide-thinking"));
       return {};
     },
     [](InteractiveChat& chat) { return on_off(chat.settings().hide_thinking); }},
};

void show_settings(InteractiveChat& chat) {
  TextTable table;
  table.add_column("SETTING");
  table.add_column("VALUE");
  table.add_column("WHAT IT IS");
  for (const Setting& setting : kSettings) {
    table.add_row({std::string(setting.name), shorten(safe_for_terminal(setting.get(chat)), 32),
                   std::string(setting.help)});
  }
  const SamplingOptions in_force = chat.conversation().sampling();
  for (const SamplingField& field : sampling_fields()) {
    table.add_row({field.name, shorten(field.get(in_force), 32), field.help});
  }
  write_out(table.text());
}

Result<void> command_set(InteractiveChat& chat, const std::string& argument) {
  auto [name, value] = first_word(argument);
  if (name == "parameter") std::tie(name, value) = first_word(value);  // as Ollama writes it
  if (name.empty()) {
    show_settings(chat);
    return {};
  }
  if (name == "nothink" || name == "noformat" || name == "quiet") {  // as Ollama writes it
    return command_set(chat, name == "nothink"    ? "think off"
                             : name == "noformat" ? "format text"
                                                  : "verbose off");
  }
  std::replace(name.begin(), name.end(), '_', '-');
  std::vector<std::string> known;
  for (const Setting& setting : kSettings) {
    known.emplace_back(setting.name);
    if (setting.name != name) continue;
    LLMRUN_TRY(setting.set(chat, value));
    print("{}: {}\n", setting.name, safe_for_terminal(setting.get(chat)));
    return {};
  }
  if (const SamplingField* const field = find_sampling_field(name)) {
    LLMRUN_TRY(choose(chat.settings().sampling, field->name, value));
    print("{}: {}\n", field->name, field->get(chat.conversation().sampling()));
    return {};
  }
  for (const SamplingField& field : sampling_fields()) known.push_back(field.name);
  const std::string nearest = nearest_name(name, known);
  return make_error(ErrorCode::kUsage, "there is nothing called '{}' to set{}; /set lists all",
                    name, nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", nearest));
}

// ---- the other commands -------------------------------------------------------------------------

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
