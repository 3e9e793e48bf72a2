// Ollama's stores on this machine, read in place: a model that lies there runs without a copy.
#pragma once

#include <vector>

#include "store/local_store.h"

namespace llmrun::store {

// Those that are there, each once, without llmrun's own (OLLAMA_MODELS may name it). LocalStore's
// writing members are not for these.
std::vector<LocalStore> ollama_stores();

}  // namespace llmrun::store
