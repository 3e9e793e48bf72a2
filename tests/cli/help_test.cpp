// Help, manual page and completions name every command and option.
#include "cli/help.h"

#include <gtest/gtest.h>

#include <set>

#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

TEST(Help, EveryCommandExplainsItself) {
  for (const CommandEntry& entry : command_table()) {
    const std::unique_ptr<Command> command = entry.make();
    const std::string help = command_help(entry, *command, 80);
    EXPECT_NE(help.find("Usage: llmrun " + std::string(entry.name)), std::string::npos);
    EXPECT_FALSE(command->examples.empty()) << entry.name;
    EXPECT_NE(help.find("\nExamples:\n"), std::string::npos) << entry.name;
    for (const Option& option : command->options.options()) {
      EXPECT_NE(help.find("--" + option.name), std::string::npos) << entry.name;
      EXPECT_FALSE(option.help.empty()) << entry.name << " --" << option.name;
      EXPECT_FALSE(option.help.ends_with('.')) << entry.name << " --" << option.name;
    }
    EXPECT_NE(program_help(80).find(entry.name), std::string::npos);
  }
}

TEST(Help, NoNameOfAnOptionIsTakenTwice) {
  for (const CommandEntry& entry : command_table()) {
    const std::unique_ptr<Command> command = entry.make();
    std::set<std::string> names = {"help", "h"};
    for (const Option& option : command->options.options()) {
      EXPECT_TRUE(names.insert(option.name).second) << entry.name << " --" << option.name;
      if (!option.alias.empty()) {
        EXPECT_TRUE(names.insert(option.alias).second) << entry.name << " --" << option.alias;
      }
      if (option.letter != 0) {
        EXPECT_TRUE(names.insert(std::string(1, option.letter)).second)
            << entry.name << " -" << option.letter;
      }
    }
  }
}

TEST(Help, FitsTheWidth) {
  for (const CommandEntry& entry : command_table()) {
    const std::unique_ptr<Command> command = entry.make();
    const std::string help = command_help(entry, *command, 80);
    const size_t examples = help.find("\nExamples:\n");  // commands there are not broken
    for (size_t i = 0; i < examples;) {
      const size_t end = help.find('\n', i);
      EXPECT_LE(display_width(std::string_view(help).substr(i, end - i)), 80)
          << help.substr(i, end - i);
      i = end + 1;
    }
  }
}

TEST(Help, PagesNameEverything) {
  const std::string man = man_page(), bash = bash_completion(), zsh = zsh_completion(),
                    fish = fish_completion();
  for (const CommandEntry& entry : command_table()) {
    const std::string name(entry.name);
    EXPECT_NE(man.find(".SS llmrun " + name), std::string::npos) << name;
    EXPECT_NE(bash.find("    " + name + ")"), std::string::npos) << name;
    EXPECT_NE(zsh.find("    " + name + ")"), std::string::npos) << name;
    EXPECT_NE(fish.find("-a " + name), std::string::npos) << name;
    const std::unique_ptr<Command> command = entry.make();
    for (const Option& option : command->options.options()) {
      EXPECT_NE(bash.find("--" + option.name), std::string::npos) << option.name;
      EXPECT_NE(zsh.find("--" + option.name + "["), std::string::npos) << option.name;
      EXPECT_NE(fish.find("-l " + option.name), std::string::npos) << option.name;
    }
  }
}

}  // namespace
}  // namespace llmrun::cli
