// Keys that do not depend on the architecture.
#include "convert/general_metadata.h"

#include <cmath>

#include "base/error.h"
#include "base/file_io.h"
#include "convert/limits.h"

namespace llmrun::convert {
namespace {

// The value of `key: value` in front matter, without quotes; empty when there is none.
std::string front_matter_value(const std::string& text, const std::string& key) {
  if (!text.starts_with("---\n")) return {};
  const size_t end = text.find("\n---", 3);
  if (end == std::string::npos) return {};
  const size_t at = text.find("\n" + key + ":", 3);
  if (at == std::string::npos || at >= end) return {};
  const size_t begin = at + key.size() + 2;
  std::string value = text.substr(begin, text.find('\n', begin) - begin);
  const auto is_frame = [](char c) { return c == ' ' || c == '"' || c == '\'' || c == '\r'; };
  while (!value.empty() && is_frame(value.back())) value.pop_back();
  size_t first = 0;
  while (first < value.size() && is_frame(value[first])) ++first;
  return value.substr(first);
}

}  // namespace

Result<void> write_sampling(const Config& generation, gguf::Writer& writer) {
  // Without sampling the numbers have no meaning to the model's own code.
  if (!generation.flag("do_sample", true)) return generation.result();
  const std::pair<const char*, const char*> numbers[] = {
      {"temperature", "general.sampling.temp"},
      {"top_p", "general.sampling.top_p"},
      {"min_p", "general.sampling.min_p"},
      {"repetition_penalty", "general.sampling.penalty_repeat"},
  };
  for (const auto& [key, name] : numbers) {
    if (!generation.has(key)) continue;
    writer.add_metadata(name, static_cast<float>(generation.number(key)));
  }
  if (generation.has("top_k")) {
    const auto top_k = generation.integer("top_k", 0, {0, kMaxTokenIds});
    writer.add_metadata("general.sampling.top_k", static_cast<int32_t>(top_k));
  }
  return generation.result();
}

void write_license(const std::string& folder, gguf::Writer& writer) {
  const auto card = read_file(folder + "/README.md", kMaxConfigBytes);
  if (!card) return;  // a folder needs no card
  const std::string license = front_matter_value(*card, "license");
  if (!license.empty() && license.size() <= 128) writer.add_metadata("general.license", license);
}

std::string size_label(uint64_t n_parameters) {
  const auto count = static_cast<double>(n_parameters);
  const auto scaled = [&](double unit, const char* letter) {
    const double value = count / unit;
    return value < 10 ? fmt::format("{:.1f}{}", value, letter)
                      : fmt::format("{:.0f}{}", value, letter);
  };
  if (count >= 999.5e9) return scaled(1e12, "T");
  if (count >= 999.5e6) return scaled(1e9, "B");
  if (count >= 999.5e3) return scaled(1e6, "M");
  return scaled(1e3, "K");
}

}  // namespace llmrun::convert
