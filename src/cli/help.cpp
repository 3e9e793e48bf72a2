// The text of --help.
#include "cli/help.h"

#include <algorithm>

#include "base/error.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

constexpr int kHelpColumn = 28;

// "  -n, --max-tokens N        most tokens to generate".
std::string option_line(const Option& option, int width) {
  std::string left = option.letter != 0 ? fmt::format("  -{}, --{}", option.letter, option.name)
                                        : fmt::format("      --{}", option.name);
  if (!option.alias.empty()) left += ", --" + option.alias;
  if (option.takes_next) {
    left += fmt::format(" [{}]", option.value);
  } else if (!option.is_switch()) {
    left += " " + option.value;
  }
  const int left_width = display_width(left);
  if (left_width + 2 > kHelpColumn) {
    left += "\n" + std::string(kHelpColumn, ' ');
  } else {
    left += std::string(static_cast<size_t>(kHelpColumn - left_width), ' ');
  }
  return left + wrap_words(option.help, width - kHelpColumn, 0);
}

// Every line after the first is moved to the column of the help texts.
std::string hang(const std::string& text) {
  std::string hung;
  const std::string pad(kHelpColumn, ' ');
  for (const char c : text) {
    hung += c;
    if (c == '\n') hung += pad;
  }
  return hung;
}

std::string option_lines(const Option& option, int width) {
  const std::string line = option_line(option, width);
  const size_t first = line.find('\n');
  // A break right behind the names is already followed by its padding.
  if (first != std::string::npos && line.compare(first + 1, 1, " ") == 0) {
    const size_t body = first + 1 + kHelpColumn;
    return line.substr(0, body) + hang(line.substr(body)) + "\n";
  }
  return hang(line) + "\n";
}

std::string paragraphs(std::string_view text, int width) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find("\n\n"), text.size());
    out += wrap_words(text.substr(0, end), width, 0) + "\n\n";
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return out;
}

// The headings of the options, in the order in which they first stand.
std::vector<std::string> groups_of(const OptionTable& options) {
  std::vector<std::string> groups;
  for (const Option& option : options.options()) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) {
      groups.push_back(option.group);
    }
  }
  return groups;
}

}  // namespace

std::string usage_line(std::string_view name, const Command& command) {
  std::string line = fmt::format("llmrun {}", name);
  for (const Argument& argument : command.options.arguments()) {
    std::string word = argument.name + (argument.repeated ? "..." : "");
    line += argument.required ? " " + word : " [" + word + "]";
  }
  return line + " [OPTION...]";
}

std::string command_help(const CommandEntry& entry, const Command& command, int width) {
  width = std::clamp(width, 60, 100);
  std::string text = fmt::format("Usage: {}\n\n", usage_line(entry.name, command));
  text += paragraphs(fmt::format("{}.\n\n{}", entry.summary, command.description), width);
  if (!command.options.arguments().empty()) {
    text += "Arguments:\n";
    for (const Argument& argument : command.options.arguments()) {
      std::string left = "  " + argument.name;
      left.resize(std::max<size_t>(kHelpColumn, left.size() + 2), ' ');
      text += left + hang(wrap_words(argument.help, width - kHelpColumn, 0)) + "\n";
    }
    text += "\n";
  }
  for (const std::string& group : groups_of(command.options)) {
    text += fmt::format("{}{}:\n", text.ends_with("\n\n") ? "" : "\n", group);
    for (const Option& option : command.options.options()) {
      if (option.group == group) text += option_lines(option, width);
    }
  }
  if (!command.examples.empty()) text += "\nExamples:\n";
  for (const Example& example : command.examples) {
    text +=
        fmt::format("  {}\n      {}\n", example.command, wrap_words(example.what, width - 6, 6));
  }
  return text;
}

std::string program_help(int width) {
  (void)width;
  std::string text =
      "llmrun runs large language models on your own machine.\n\n"
      "Usage: llmrun COMMAND [ARGUMENT...] [OPTION...]\n\nCommands:\n";
  for (const CommandEntry& entry : command_table()) {
    text += fmt::format("  {:<12}{}\n", entry.name, entry.summary);
  }
  text +=
      "\nOptions:\n"
      "  -h, --help     this text; 'llmrun COMMAND --help' tells all about a command\n"
      "  -V, --version  the version\n"
      "\nExamples:\n"
      "  llmrun run smollm2:135m\n"
      "  llmrun run smollm2:135m \"Why is the sky blue?\"\n"
      "  llmrun estimate --params 7B --bits 4\n";
  return text;
}

}  // namespace llmrun::cli
