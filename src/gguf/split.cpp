// Takes split names apart from the end and puts them together again.
#include "gguf/split.h"

#include <fmt/format.h>

namespace llmrun::gguf {
namespace {

constexpr size_t kDigits = 5;

bool drop_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::optional<uint32_t> drop_number(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  uint32_t number = 0;
  for (const char c : text.substr(text.size() - kDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  text.remove_suffix(kDigits);
  return number;
}

}  // namespace

std::optional<SplitName> parse_split_name(std::string_view path) {
  if (!drop_suffix(path, ".gguf")) return std::nullopt;
  const auto count = drop_number(path);
  if (!count || !drop_suffix(path, "-of-")) return std::nullopt;
  const auto index = drop_number(path);
  if (!index || !drop_suffix(path, "-")) return std::nullopt;
  if (*index == 0 || *index > *count) return std::nullopt;
  return SplitName{std::string(path), *index, *count};
}

std::string split_path(const SplitName& name, uint32_t index) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.prefix, index, name.count);
}

}  // namespace llmrun::gguf
