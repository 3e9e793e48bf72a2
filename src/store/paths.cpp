// Where llmrun keeps things; see paths.h.
#include "store/paths.h"

#include <cstdlib>

#include "store/model_name.h"

namespace llmrun::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kServiceStore = "/usr/share/ollama/.ollama/models";

fs::path home_dir() {
  const std::string home = environment("HOME");
  return home.empty() ? "/tmp" : home;
}

}  // namespace

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_switched_on(const char* name) {
  const std::string value = lower(environment(name));
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

fs::path data_dir() {
  if (const auto home = environment("LLMRUN_HOME"); !home.empty()) return home;
  if (const auto data = environment("XDG_DATA_HOME"); !data.empty()) {
    return fs::path(data) / "llmrun";
  }
  return home_dir() / ".local" / "share" / "llmrun";
}

std::vector<fs::path> ollama_dirs() {
  std::vector<fs::path> folders;
  if (const auto folder = environment("OLLAMA_MODELS"); !folder.empty()) folders.push_back(folder);
  folders.push_back(home_dir() / ".ollama" / "models");
  folders.emplace_back(kServiceStore);
  return folders;
}

fs::path hf_home() {
  if (const auto home = environment("HF_HOME"); !home.empty()) return home;
  if (const auto cache = environment("XDG_CACHE_HOME"); !cache.empty()) {
    return fs::path(cache) / "huggingface";
  }
  return home_dir() / ".cache" / "huggingface";
}

fs::path hf_cache_dir() {
  for (const char* name : {"LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto folder = environment(name); !folder.empty()) return folder;
  }
  return hf_home() / "hub";
}

fs::path models_dir() { return data_dir() / "models"; }
fs::path registry_logins_file() {
  if (const auto file = environment("REGISTRY_AUTH_FILE"); !file.empty()) return file;
  if (const auto folder = environment("DOCKER_CONFIG"); !folder.empty()) {
    return fs::path(folder) / "config.json";
  }
  return home_dir() / ".docker" / "config.json";
}

fs::path chats_dir() { return data_dir() / "chats"; }
fs::path prefix_cache_dir() { return data_dir() / "prefix-cache"; }
fs::path history_file() { return data_dir() / "history"; }

}  // namespace llmrun::store
