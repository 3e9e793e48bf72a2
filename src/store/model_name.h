// Names of models as Ollama writes them: [scheme://][host/][namespace/]model[:tag].
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "llmrun/error.h"

namespace llmrun::store {

inline constexpr std::string_view kDefaultHost = "registry.ollama.ai";
inline constexpr std::string_view kDefaultNamespace = "library";
inline constexpr std::string_view kDefaultTag = "latest";
// Names of the built-in catalogue live under a host of their own: no registry stands behind them.
inline constexpr std::string_view kCatalogHost = "catalog";

// "smollm2:135m" → registry.ollama.ai, library, smollm2, 135m. The letters are kept as typed (some
// registries tell them apart); two names that differ only in case are the same model.
struct ModelName {
  std::string scheme = "https";  // or "http", which has to be allowed by --insecure
  bool has_scheme = false;       // the scheme was typed
  std::string host{kDefaultHost};
  std::string name_space{kDefaultNamespace};
  std::string model;
  std::string tag{kDefaultTag};
  bool has_tag = false;  // the tag was typed

  // As people read it: without the host when it is the default, without the namespace when both
  // are; always with the tag.
  [[nodiscard]] std::string text() const;
  // host/namespace/model/tag: where its manifest lies below a store's manifests/ folder.
  [[nodiscard]] std::filesystem::path path() const;
  // Neither host nor namespace was given: the catalogue may know such a name.
  [[nodiscard]] bool is_short() const { return host == kDefaultHost && name_space == "library"; }
};

// Every part: 1 to 80 characters (host: 350), the first a letter, digit or '_', then '-' and '.'
// too; a namespace has no '.', and only a host has a ':' (its port). So no name can lead out of a
// store. An empty part that a separator promises is an error. kUsage otherwise.
Result<ModelName> parse_model_name(std::string_view text);

// The name of a manifest at host/namespace/model/tag; kUsage when the path is no such thing.
Result<ModelName> name_of_path(const std::filesystem::path& relative);

bool same_model(const ModelName& a, const ModelName& b);

// ASCII only, as names are.
std::string lower(std::string_view text);
bool equal_without_case(std::string_view a, std::string_view b);

}  // namespace llmrun::store
