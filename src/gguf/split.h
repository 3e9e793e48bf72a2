// Names of the files of a split model: "NAME-00001-of-00003.gguf".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmrun::gguf {

struct SplitName {
  std::string prefix;  // with the folder, without "-00001-of-00003.gguf"
  uint32_t index = 0;  // from 1
  uint32_t count = 0;  // >= index
};

// Nothing when the name is not of this form.
std::optional<SplitName> parse_split_name(std::string_view path);
std::string split_path(const SplitName& name, uint32_t index);

}  // namespace llmrun::gguf
