// Where llmrun keeps things: models, chats, the history of the line editor.
#pragma once

#include <filesystem>

namespace llmrun::store {

// $LLMRUN_HOME, else $XDG_DATA_HOME/llmrun, else ~/.local/share/llmrun. Not created.
std::filesystem::path data_dir();
// The model store inside data_dir(): blobs/sha256-<hex> and manifests/<host>/<namespace>/<model>/
// <tag>, the layout that Ollama's store has too.
std::filesystem::path models_dir();
std::filesystem::path chats_dir();
std::filesystem::path history_file();

}  // namespace llmrun::store
