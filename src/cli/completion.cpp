// Completion scripts for bash, zsh and fish. Model names come from `llmrun list --names` when the
// key is pressed; everything else is written into the script.
#include <algorithm>

#include "base/error.h"
#include "cli/help.h"

namespace llmrun::cli {
namespace {

// 'it'\''s' for sh-like shells.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> option_words(const Command& command) {
  std::vector<std::string> words;
  for (const Option& option : command.options.options()) {
    words.push_back("--" + option.name);
    if (!option.alias.empty()) words.push_back("--" + option.alias);
    if (option.letter != 0) words.push_back(fmt::format("-{}", option.letter));
  }
  words.emplace_back("--help");
  return words;
}

std::string command_names() {
  std::string names;
  for (const CommandEntry& entry : command_table()) names += fmt::format("{} ", entry.name);
  return names;
}

// "--file|-f" as a case pattern.
std::string pattern(const Option& option) {
  std::string text = "--" + option.name;
  if (!option.alias.empty()) text += "|--" + option.alias;
  if (option.letter != 0) text += fmt::format("|-{}", option.letter);
  return text;
}

// What the value of an option or argument completes to, as a bash statement.
std::string bash_values(ValueKind kind, const std::vector<std::string>& choices) {
  if (!choices.empty()) {
    return fmt::format("COMPREPLY=($(compgen -W {} -- \"$word\"))", quoted(join(choices)));
  }
  if (kind == ValueKind::kModel) return "_llmrun_models";
  if (kind == ValueKind::kFile)
    return "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\"))";
  return "COMPREPLY=()";
}

std::string bash_command(const CommandEntry& entry) {
  const std::unique_ptr<Command> command = entry.make();
  std::string text = fmt::format("    {})\n      case \"$previous\" in\n", entry.name);
  for (const Option& option : command->options.options()) {
    if (option.is_switch() || option.takes_next) continue;
    text += fmt::format("        {}) {}; return ;;\n", pattern(option),
                        bash_values(option.kind, option.choices));
  }
  text += fmt::format(
      "      esac\n      if [[ $word == -* ]]; then\n"
      "        COMPREPLY=($(compgen -W {} -- \"$word\"))\n",
      quoted(join(option_words(*command))));
  const auto& arguments = command->options.arguments();
  if (!arguments.empty()) {
    text += fmt::format("      else\n        {}\n",
                        bash_values(arguments.front().kind, arguments.front().choices));
  }
  return text + "      fi ;;\n";
}

std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_action(ValueKind kind, const std::vector<std::string>& choices) {
  if (!choices.empty()) return fmt::format("({})", join(choices));
  if (kind == ValueKind::kModel) return "_llmrun_models";
  return kind == ValueKind::kFile ? "_files" : " ";
}

void add_zsh_option(std::string& text, const Option& option, const std::string& name) {
  std::string spec = fmt::format("*{}[{}]", name, zsh_text(option.help));
  if (!option.is_switch()) {
    spec += fmt::format("{}{}:{}", option.takes_next ? "::" : ":", zsh_text(option.value),
                        zsh_action(option.kind, option.choices));
  }
  text += fmt::format("        {} \\\n", quoted(spec));
}

std::string zsh_command(const CommandEntry& entry) {
  const std::unique_ptr<Command> command = entry.make();
  std::string text = fmt::format("    {})\n      _arguments -s \\\n", entry.name);
  for (const Option& option : command->options.options()) {
    add_zsh_option(text, option, "--" + option.name);
    if (!option.alias.empty()) add_zsh_option(text, option, "--" + option.alias);
    if (option.letter != 0) add_zsh_option(text, option, fmt::format("-{}", option.letter));
  }
  for (const Argument& argument : command->options.arguments()) {
    text += fmt::format("        {} \\\n",
                        quoted(fmt::format("{}:{}:{}", argument.repeated ? "*" : "", argument.name,
                                           zsh_action(argument.kind, argument.choices))));
  }
  return text + "        '--help[tell all about this command]' ;;\n";
}

std::string fish_values(ValueKind kind, const std::vector<std::string>& choices) {
  if (!choices.empty()) return " -x -a " + quoted(join(choices));
  if (kind == ValueKind::kModel) return " -r -F -a '(llmrun list --names 2>/dev/null)'";
  return kind == ValueKind::kFile ? " -r -F" : " -x";
}

std::string fish_command(const CommandEntry& entry) {
  const std::unique_ptr<Command> command = entry.make();
  const std::string seen =
      fmt::format("complete -c llmrun -n '__fish_seen_subcommand_from {}'", entry.name);
  std::string text;
  for (const Option& option : command->options.options()) {
    text += fmt::format("{} -l {}", seen, option.name);
    if (!option.alias.empty()) text += fmt::format(" -l {}", option.alias);
    if (option.letter != 0) text += fmt::format(" -s {}", option.letter);
    if (!option.is_switch() && !option.takes_next) text += fish_values(option.kind, option.choices);
    text += fmt::format(" -d {}\n", quoted(option.help));
  }
  const auto& arguments = command->options.arguments();
  if (!arguments.empty()) {
    const Argument& first = arguments.front();
    if (first.kind == ValueKind::kModel) {
      text += seen + " -F -a '(llmrun list --names 2>/dev/null)'\n";
    } else if (!first.choices.empty()) {
      text += fmt::format("{} -a {}\n", seen, quoted(join(first.choices)));
    }
  }
  return text;
}

}  // namespace

std::string bash_completion() {
  std::string text =
      "# bash completion of llmrun, generated by 'llmrun completion bash'\n"
      "_llmrun_models() {\n"
      "  compopt -o filenames\n"
      "  COMPREPLY=($(compgen -W \"$(llmrun list --names 2>/dev/null)\" -- \"$word\")"
      " $(compgen -f -- \"$word\"))\n"
      "  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions \"$word\"\n"
      "}\n"
      "_llmrun() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  if declare -F _get_comp_words_by_ref >/dev/null; then\n"
      "    _get_comp_words_by_ref -n : -c word -p previous\n"
      "  fi\n"
      "  COMPREPLY=()\n"
      "  if [[ $COMP_CWORD -eq 1 ]]; then\n";
  text += fmt::format("    COMPREPLY=($(compgen -W '{}--help --version' -- \"$word\"))\n",
                      command_names());
  text += "    return\n  fi\n  case \"${COMP_WORDS[1]}\" in\n";
  for (const CommandEntry& entry : command_table()) text += bash_command(entry);
  return text + "  esac\n}\ncomplete -F _llmrun llmrun\n";
}

std::string zsh_completion() {
  std::string text =
      "#compdef llmrun\n"
      "# zsh completion of llmrun, generated by 'llmrun completion zsh'\n"
      "_llmrun_models() {\n"
      "  local -a models=(${(f)\"$(llmrun list --names 2>/dev/null)\"})\n"
      "  _alternative 'models:model:compadd -a models' 'files:file:_files'\n"
      "}\n"
      "_llmrun() {\n  local -a commands=(\n";
  for (const CommandEntry& entry : command_table()) {
    text += fmt::format("    {}\n", quoted(fmt::format("{}:{}", entry.name, entry.summary)));
  }
  text +=
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
      "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n";
  for (const CommandEntry& entry : command_table()) text += zsh_command(entry);
  return text + "  esac\n}\n_llmrun \"$@\"\n";
}

std::string fish_completion() {
  std::string text =
      "# fish completion of llmrun, generated by 'llmrun completion fish'\n"
      "complete -c llmrun -f\n";
  for (const CommandEntry& entry : command_table()) {
    text += fmt::format("complete -c llmrun -n __fish_use_subcommand -a {} -d {}\n", entry.name,
                        quoted(entry.summary));
  }
  text += "complete -c llmrun -l help -s h -d 'tell all about a command'\n";
  for (const CommandEntry& entry : command_table()) text += fish_command(entry);
  return text;
}

}  // namespace llmrun::cli
