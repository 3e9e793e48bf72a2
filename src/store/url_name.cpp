// GGUF files at plain addresses; see url_name.h.
#include "store/url_name.h"

#include "base/error.h"
#include "base/sha256.h"
#include "gguf/split.h"
#include "store/hf_name.h"
#include "store/http_url.h"

namespace llmrun::store {
namespace {

constexpr size_t kMaxModel = 80;
constexpr size_t kDigits = 12;

// The path of the address, without query and fragment.
std::string_view path_of(std::string_view url) {
  const size_t host = url.find("://");
  const size_t begin = host == std::string_view::npos ? 0 : host + 3;
  return url.substr(begin, url.find_first_of("?#", begin) - begin);
}

// The file's name as the model part of a name: other characters become '-'.
std::string model_part(std::string_view path) {
  std::string_view file = path.substr(path.rfind('/') + 1);
  file.remove_suffix(std::min<size_t>(file.size(), 5));
  std::string model;
  for (const char c : file.substr(0, kMaxModel)) {
    const bool is_word =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!is_word && model.empty()) continue;
    model += is_word || c == '.' || c == '-' ? c : '-';
  }
  return model.empty() ? "model" : model;
}

}  // namespace

bool is_gguf_url(const std::string& text) {
  const std::string url = lower(text);
  return (url.starts_with("https://") || url.starts_with("http://")) &&
         path_of(url).ends_with(".gguf") && !is_hf_name(text);
}

Result<ModelName> name_of_url(const std::string& url) {
  LLMRUN_ASSIGN(const Url parsed, parse_url(url));
  const std::string_view path = path_of(parsed.text);
  if (gguf::parse_split_name(path)) {
    return make_error(
        ErrorCode::kUnsupported,
        "{} is one part of a split model; download all parts into one folder and give "
        "the path of the first",
        parsed.shown());
  }
  LLMRUN_ASSIGN(const std::string digest, sha256_hex(std::as_bytes(std::span(parsed.text))));
  const bool is_usual_port = parsed.port == (parsed.is_plain() ? 80 : 443);
  return parse_model_name(fmt::format("{}{}/url/{}:{}", parsed.host,
                                      is_usual_port ? "" : fmt::format(":{}", parsed.port),
                                      model_part(path), digest.substr(0, kDigits)));
}

}  // namespace llmrun::store
