// /set: the settings of the chat as a table, and the sampling options.
#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "cli/interactive.h"
#include "cli/output.h"
#include "cli/slash_commands.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

Result<bool> parse_switch(std::string_view text, std::string_view what) {
  if (text == "on" || text == "true" || text.empty()) return true;
  if (text == "off" || text == "false") return false;
  return make_error(ErrorCode::kUsage, "{} is on or off, not '{}'", what, text);
}

// ---- what is not a sampling option
// ---------------------------------------------------------------

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

}  // namespace

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

}  // namespace llmrun::cli
