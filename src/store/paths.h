// Where llmrun keeps things: models, chats, the history of the line editor.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace llmrun::store {

// $LLMRUN_HOME, else $XDG_DATA_HOME/llmrun, else ~/.local/share/llmrun. Not created.
std::filesystem::path data_dir();
// The model store inside data_dir(): blobs/sha256-<hex> and manifests/<host>/<namespace>/<model>/
// <tag>, the layout that Ollama's store has too.
std::filesystem::path models_dir();
// Ollama's stores, in the order in which they are looked into: $OLLAMA_MODELS, ~/.ollama/models and
// that of the Linux service. Read in place; nothing of ours is ever written or deleted there.
std::vector<std::filesystem::path> ollama_dirs();
// The cache that Hugging Face's own tools and llama.cpp share, by their environment variables.
std::filesystem::path hf_cache_dir();
// Where Hugging Face's tools keep what is not a model (the token).
std::filesystem::path hf_home();
// Where docker and podman keep their logins to registries: $REGISTRY_AUTH_FILE, else
// $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
std::filesystem::path registry_logins_file();
std::filesystem::path chats_dir();
std::filesystem::path prefix_cache_dir();  // what was read of long prompts
std::filesystem::path history_file();

// The variable's value; an empty one counts as unset.
std::string environment(const char* name);
// "1", "true", "yes" or "on", as Hugging Face's tools read their switches.
bool is_switched_on(const char* name);

}  // namespace llmrun::store
