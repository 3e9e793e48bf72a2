// Names of models on the Hugging Face hub; see hf_name.h.
#include "store/hf_name.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/utf8.h"
#include "store/model_name.h"

namespace llmrun::store {
namespace {

constexpr std::string_view kPrefix = "hf:";
constexpr std::array<std::string_view, 4> kSites = {"https://huggingface.co/", "https://hf.co/",
                                                    "http://huggingface.co/", "http://hf.co/"};
constexpr size_t kMaxPart = 96;  // the hub's own limit
constexpr size_t kMaxPath = 1024;
constexpr size_t kMaxPathPart = 255;
constexpr size_t kMaxShown = 120;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The hub's rule for names of users and repositories: also no "--", which separates them in caches.
bool is_repository_part(std::string_view part) {
  return !part.empty() && part.size() <= kMaxPart && is_word(part.front()) &&
         part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos &&
         std::all_of(part.begin(), part.end(),
                     [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

bool is_quant(std::string_view quant) {
  return !quant.empty() && quant.size() <= kMaxPart && is_word(quant.front()) &&
         std::all_of(quant.begin(), quant.end(),
                     [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

std::string_view cut(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return head;
}

std::string_view site_of(std::string_view text) {
  for (const std::string_view site : kSites) {
    if (equal_without_case(text.substr(0, site.size()), site)) return site;
  }
  return {};
}

std::string shown(std::string_view text) {
  std::string out(text.substr(0, kMaxShown));
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

}  // namespace

std::string HfName::text() const {
  std::string result = "hf:" + repository();
  if (!quant.empty()) result += ":" + quant;
  if (!file.empty()) result += "/" + file;
  return result;
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath || !utf8::is_valid(path)) return false;
  if (path.front() == '/' || path.back() == '/') return false;
  while (!path.empty()) {
    const std::string_view part = cut(path, '/');
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxPathPart) return false;
    for (const char c : part) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
    }
  }
  return true;
}

bool is_hf_name(std::string_view text) {
  return equal_without_case(text.substr(0, kPrefix.size()), kPrefix) || !site_of(text).empty();
}

Result<HfName> parse_hf_name(std::string_view text) {
  const std::string_view site = site_of(text);
  HfName name;
  bool is_good = is_hf_name(text);
  std::string_view rest;  // behind "hf:" or the address of the hub
  if (is_good) rest = text.substr(site.empty() ? kPrefix.size() : site.size());
  name.user = cut(rest, '/');
  const bool has_path = rest.find('/') != std::string_view::npos;
  std::string_view repo = cut(rest, '/');
  if (!site.empty() && !rest.empty()) {  // an address out of a browser: …/blob/main/FILE
    rest = rest.substr(0, rest.find('?'));
    const std::string_view kind = cut(rest, '/');
    is_good = is_good && (kind == "blob" || kind == "resolve") && cut(rest, '/') == "main";
  }
  const bool has_quant = repo.find(':') != std::string_view::npos;
  name.repo = cut(repo, ':');
  name.quant = repo;
  name.file = rest;
  is_good = is_good && is_repository_part(name.user) && is_repository_part(name.repo);
  if (has_quant) is_good = is_good && is_quant(name.quant) && name.file.empty();
  if (has_path) is_good = is_good && is_safe_path(name.file) && lower(rest).ends_with(".gguf");
  if (is_good) return name;
  return make_error(ErrorCode::kUsage,
                    "\"{}\" is not the name of a model on Hugging Face; write hf:user/repo, "
                    "hf:user/repo:Q4_K_M or hf:user/repo/file.gguf",
                    shown(text));
}

}  // namespace llmrun::store
