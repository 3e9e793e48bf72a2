// Names of models; see model_name.h. Parsed from the right, so that a host keeps its port.
#include "store/model_name.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace llmrun::store {
namespace {

constexpr size_t kMaxPart = 80;
constexpr size_t kMaxHost = 350;
constexpr size_t kMaxShown = 100;  // of a bad name, in an error

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

enum class Part : uint8_t { kHost, kNamespace, kModel, kTag };

bool is_valid(std::string_view text, Part part) {
  if (text.empty() || text.size() > (part == Part::kHost ? kMaxHost : kMaxPart)) return false;
  if (!is_word(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [part](char c) {
    return is_word(c) || c == '-' || (c == '.' && part != Part::kNamespace) ||
           (c == ':' && part == Part::kHost);
  });
}

bool is_valid(const ModelName& name) {
  return (name.scheme == "https" || name.scheme == "http") && is_valid(name.host, Part::kHost) &&
         is_valid(name.name_space, Part::kNamespace) && is_valid(name.model, Part::kModel) &&
         is_valid(name.tag, Part::kTag);
}

// What stands behind the last '/'; `text` keeps what stands before it. Without a '/' all of it, and
// `more` is false.
std::string_view take_last(std::string_view& text, bool& more) {
  const size_t slash = text.rfind('/');
  more = slash != std::string_view::npos;
  const std::string_view last = more ? text.substr(slash + 1) : text;
  if (more) text = text.substr(0, slash);
  return last;
}

// "hf:…" is a name of the Hugging Face hub (hf_name.h), whatever follows: not a model called hf,
// nor a host called hf with its port.
bool starts_like_the_hub(std::string_view text) {
  return equal_without_case(text.substr(0, 3), "hf:");
}

// A piece of text that may be anything, fit for an error message.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMaxShown)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return text.size() > kMaxShown ? out + "..." : out;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = lower(c);
  return result;
}

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string ModelName::text() const {
  const bool own_host = equal_without_case(host, kDefaultHost) || host == kCatalogHost;
  std::string result;
  if (!own_host) result = host + "/";
  if (!own_host || !equal_without_case(name_space, kDefaultNamespace)) result += name_space + "/";
  result += model + ":" + tag;
  if (!starts_like_the_hub(result)) return result;
  return (own_host ? name_space + "/" : scheme + "://") + result;
}

std::filesystem::path ModelName::path() const {
  return std::filesystem::path(host) / name_space / model / tag;
}

Result<ModelName> parse_model_name(std::string_view text) {
  ModelName name;
  std::string_view rest = text;
  const size_t scheme_end = rest.find("://");
  if (scheme_end != std::string_view::npos) {
    name.scheme = lower(rest.substr(0, scheme_end));
    name.has_scheme = true;
    rest.remove_prefix(scheme_end + 3);
  }
  const size_t colon = rest.rfind(':');
  const size_t slash = rest.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = rest.substr(colon + 1);
    name.has_tag = true;
    rest = rest.substr(0, colon);
  }
  bool more = false;
  name.model = take_last(rest, more);
  if (more) {
    name.name_space = take_last(rest, more);
    if (more) name.host = rest;
  }
  const bool scheme_without_host = scheme_end != std::string_view::npos && !more;
  // Names of the catalogue are short; its host is a folder of the store, and no registry.
  const bool is_of_catalogue = equal_without_case(name.host, kCatalogHost);
  if (scheme_without_host || is_of_catalogue || starts_like_the_hub(text) || !is_valid(name)) {
    return make_error(ErrorCode::kUsage,
                      "\"{}\" is not a model name; write it like smollm2:135m or "
                      "host/namespace/model:tag, or give the path of a GGUF file",
                      shown(text));
  }
  return name;
}

Result<ModelName> name_of_path(const std::filesystem::path& relative) {
  const std::vector<std::string> parts(relative.begin(), relative.end());
  ModelName name;
  if (parts.size() == 4) {
    name.host = parts[0];
    name.name_space = parts[1];
    name.model = parts[2];
    name.tag = parts[3];
    name.has_tag = true;
  }
  if (parts.size() == 4 && is_valid(name)) return name;
  return make_error(ErrorCode::kUsage, "\"{}\" is not host/namespace/model/tag",
                    shown(relative.string()));
}

bool same_model(const ModelName& a, const ModelName& b) {
  return equal_without_case(a.host, b.host) && equal_without_case(a.name_space, b.name_space) &&
         equal_without_case(a.model, b.model) && equal_without_case(a.tag, b.tag);
}

}  // namespace llmrun::store
