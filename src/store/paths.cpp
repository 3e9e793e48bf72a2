// Where llmrun keeps things; see paths.h.
#include "store/paths.h"

#include <cstdlib>
#include <string_view>

namespace llmrun::store {
namespace {

// The variable's value, or empty: an empty variable counts as unset (XDG base directory spec).
std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

}  // namespace

std::filesystem::path data_dir() {
  if (const auto home = environment("LLMRUN_HOME"); !home.empty()) return home;
  if (const auto data = environment("XDG_DATA_HOME"); !data.empty()) {
    return std::filesystem::path(data) / "llmrun";
  }
  const auto home = environment("HOME");
  return std::filesystem::path(home.empty() ? "/tmp" : home) / ".local" / "share" / "llmrun";
}

std::filesystem::path models_dir() { return data_dir() / "models"; }
std::filesystem::path chats_dir() { return data_dir() / "chats"; }
std::filesystem::path history_file() { return data_dir() / "history"; }

}  // namespace llmrun::store
