// The catalogue of short names; see catalog.h.
#include "store/catalog.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "store/catalog_text.h"

namespace llmrun::store {
namespace {

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Fills one field of the entry; false when key or value make no sense.
bool set_field(CatalogEntry& entry, std::string_view key, std::string_view value) {
  if (key == "title") {
    entry.title = value;
  } else if (key == "license") {
    entry.license = value;
  } else if (key == "size") {
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), entry.size);
    return error == std::errc() && end == value.data() + value.size();
  } else if (key == "sha256") {
    entry.sha256 = value;
    return is_sha256(value);
  } else if (key == "source") {
    entry.sources.push_back({std::string(value), {}});
    return value == "pip";
  } else if (key == "part") {
    const size_t space = value.find(' ');
    if (space == std::string_view::npos || entry.sources.empty()) return false;
    entry.sources.back().parts.push_back(
        {std::string(value.substr(0, space)), std::string(trim(value.substr(space)))});
  } else {
    return false;
  }
  return true;
}

bool is_complete(const CatalogEntry& entry) {
  return entry.size > 0 && is_sha256(entry.sha256) && !entry.sources.empty() &&
         std::none_of(entry.sources.begin(), entry.sources.end(),
                      [](const CatalogSource& source) { return source.parts.empty(); });
}

}  // namespace

Result<std::vector<CatalogEntry>> parse_catalog(std::string_view text) {
  std::vector<CatalogEntry> entries;
  int line_number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      CatalogEntry entry;
      entry.name = line.substr(1, line.size() - 2);
      LLMRUN_TRY(parse_model_name(entry.name));
      entries.push_back(std::move(entry));
      continue;
    }
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || entries.empty() ||
        !set_field(entries.back(), trim(line.substr(0, equals)), trim(line.substr(equals + 1)))) {
      return make_error(ErrorCode::kBadModel, "catalogue line {} makes no sense: {}", line_number,
                        line);
    }
  }
  for (const CatalogEntry& entry : entries) {
    if (!is_complete(entry)) {
      return make_error(ErrorCode::kBadModel,
                        "catalogue entry {} needs a size, a sha256 and a source with parts",
                        entry.name);
    }
  }
  return entries;
}

std::span<const CatalogEntry> catalog() {
  // The text is part of the program and a test parses it, so an error here leaves it empty.
  static const std::vector<CatalogEntry> entries =
      parse_catalog(kCatalogText).value_or(std::vector<CatalogEntry>());
  return entries;
}

const CatalogEntry* find_in_catalog(const ModelName& name) {
  if (!name.is_short() && name.host != kCatalogHost) return nullptr;
  const CatalogEntry* only = nullptr;
  int n_models = 0;
  for (const CatalogEntry& entry : catalog()) {
    if (equal_without_case(entry.name, name.model + ":" + name.tag)) return &entry;
    if (equal_without_case(std::string_view(entry.name).substr(0, entry.name.find(':')),
                           name.model)) {
      only = &entry;
      ++n_models;
    }
  }
  return !name.has_tag && n_models == 1 ? only : nullptr;
}

}  // namespace llmrun::store
