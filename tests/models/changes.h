// Copies of stored models with other metadata or tensors.
#pragma once

#include <map>
#include <set>

#include "gguf/writer.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun::testing {

inline std::string stored(const std::string& name) {
  return std::string(tests::kSourceDir) + "/tests/data/archs/" + name + ".gguf";
}

struct Changes {
  std::map<std::string, int64_t> numbers{};     // keys replaced by integers
  std::map<std::string, float> floats{};        // keys replaced by float32
  std::map<std::string, std::string> texts{};   // keys replaced by strings
  std::set<std::string> dropped{};              // keys and tensors left out
  std::map<std::string, std::string> copies{};  // tensor: has the shape and bytes of another
};

// A copy of a stored model with the changes made.
inline Result<std::vector<std::byte>> altered(const std::string& name, const Changes& changes) {
  LLMRUN_ASSIGN(const gguf::File file, gguf::File::open(stored(name)));
  gguf::Writer writer;
  for (const auto& [key, value] : file.metadata().entries()) {
    const std::string text(key);
    if (changes.numbers.contains(text) || changes.floats.contains(text) ||
        changes.texts.contains(text) || changes.dropped.contains(text)) {
      continue;
    }
    writer.add_metadata(key, value);
  }
  for (const auto& [key, number] : changes.numbers) writer.add_metadata(key, number);
  for (const auto& [key, number] : changes.floats) writer.add_metadata(key, number);
  for (const auto& [key, text] : changes.texts) writer.add_metadata(key, text);
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    if (changes.dropped.contains(std::string(tensor.name))) continue;
    const gguf::TensorInfo* from = &tensor;
    if (const auto it = changes.copies.find(std::string(tensor.name)); it != changes.copies.end()) {
      from = file.find_tensor(it->second);
    }
    writer.add_tensor(tensor.name, from->type, {from->dims.data(), from->n_dims}, from->bytes);
  }
  return writer.to_bytes();
}

}  // namespace llmrun::testing
