// From what a person typed to a model; see resolver.h.
#include "store/resolver.h"

#include <algorithm>

#include "base/edit_distance.h"
#include "base/error.h"
#include "store/hf_name.h"
#include "store/say.h"
#include "store/url_name.h"

namespace llmrun::store {
namespace {

constexpr size_t kMaxSuggestions = 3;
constexpr size_t kMaxSuggestable = 200;  // longer texts are no mistyped names

bool is_path(std::string_view name) {
  for (const std::string_view prefix : {"/", "./", "../", "~/"}) {
    if (name.starts_with(prefix)) return true;
  }
  const bool is_address = is_hf_name(name) || name.find("://") != std::string_view::npos;
  return !is_address && lower(name).ends_with(".gguf");
}

// How far `name` is from a known one, or from its last part: people leave out what stands before.
size_t distance(const std::string& name, std::string_view known) {
  const std::string whole = lower(known);
  const std::string last = whole.substr(whole.rfind('/') + 1);
  return std::min(edit_distance(name, whole), edit_distance(name, last));
}

// Known names, the nearest first.
std::string suggestions(const std::string& name) {
  if (name.size() > kMaxSuggestable) return "";
  std::vector<std::string> names;
  for (const auto& source : all_sources()) {
    for (StoredModel& model : source->list()) names.push_back(std::move(model.name));
    for (std::string& known : source->names()) names.push_back(std::move(known));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::pair<size_t, std::string>> ranked;
  ranked.reserve(names.size());
  for (std::string& known : names) ranked.emplace_back(distance(lower(name), known), known);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (size_t i = 0; i < ranked.size() && i < kMaxSuggestions; ++i) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", ranked[i].second);
  }
  return text.empty() ? "" : " Nearest names: " + text + ".";
}

std::vector<const Source*> speaking(const std::string& name) {
  std::vector<const Source*> sources;
  for (const auto& source : all_sources()) {
    if (source->speaks(name)) sources.push_back(source.get());
  }
  return sources;
}

// "it is neither in A, nor in B, nor in C": where a name was looked for.
std::string looked_in(const std::vector<const Source*>& sources, bool with_servers) {
  std::string text;
  for (const Source* source : sources) {
    if (source->is_remote() && !with_servers) continue;
    text += fmt::format("{}{}", text.empty() ? "" : "; ", source->where());
  }
  return text;
}

tl::unexpected<Error> not_found(const std::string& name, const std::vector<const Source*>& sources,
                                const std::string& what_servers_said) {
  return make_error(ErrorCode::kNotFound, "no model is called {}. Looked in: {}.{}{}", name,
                    looked_in(sources, true), what_servers_said, suggestions(name));
}

// The form of the name: what is wrong with one that no source but files understands.
Result<void> check_form(const std::string& name, const std::vector<const Source*>& sources) {
  if (is_path(name)) return make_error(ErrorCode::kNotFound, "there is no file {}", name);
  if (is_hf_name(name)) LLMRUN_TRY(parse_hf_name(name));
  if (sources.size() > 1) return {};
  LLMRUN_TRY(parse_model_name(name));
  return {};
}

// Asks the servers in turn; the next one only when one has no such model.
template <typename T, typename Ask>
Result<T> ask_servers(const std::string& name, const SourceOptions& options, const Ask& ask) {
  const std::vector<const Source*> sources = speaking(name);
  LLMRUN_TRY(check_form(name, sources));
  std::string said;
  for (const Source* source : sources) {
    if (!source->is_remote()) continue;
    if (is_offline(options)) {
      return make_error(ErrorCode::kNotFound,
                        "{} is not on this machine, and the network is not asked (--offline, "
                        "HF_HUB_OFFLINE or LLMRUN_OFFLINE). Looked in: {}.{}",
                        name, looked_in(sources, false), suggestions(name));
    }
    auto result = ask(*source);
    if (!result && result.error().code == ErrorCode::kNetwork) {
      result.error().message += "." + suggestions(name);  // perhaps it was only mistyped
    }
    if (result || result.error().code != ErrorCode::kNotFound) return result;
    said += fmt::format("\n  {}: {}\n", source->where(), result.error().message);
  }
  return not_found(name, sources, said);
}

}  // namespace

std::optional<StoredModel> find_model_here(const std::string& name) {
  for (const Source* source : speaking(name)) {
    if (auto model = source->find(name)) return model;
  }
  return std::nullopt;
}

Result<StoredModel> find_or_fetch(const std::string& name, const SourceOptions& options) {
  if (auto model = find_model_here(name)) return std::move(*model);
  const std::vector<const Source*> sources = speaking(name);
  const bool is_fetchable = std::any_of(sources.begin(), sources.end(),
                                        [](const Source* source) { return source->is_remote(); });
  if (!options.fetch && is_fetchable) {
    return make_error(ErrorCode::kNotFound,
                      "{} is not on this machine; to fetch it: llmrun pull {}.{}", name, name,
                      suggestions(name));
  }
  return ask_servers<StoredModel>(
      name, options, [&](const Source& source) { return source.fetch(name, options); });
}

Result<StoredModel> pull_model(const std::string& name, const SourceOptions& options) {
  auto here = find_model_here(name);
  if (!here) return find_or_fetch(name, options);
  // A name that leaves something out means what is here, for this command as for the others.
  const std::string whole = is_gguf_url(name) ? name : here->name;
  const std::vector<const Source*> sources = speaking(whole);
  const auto server = std::find_if(sources.begin(), sources.end(),
                                   [](const Source* source) { return source->is_remote(); });
  if (here->place == kPlaceOfFiles || server == sources.end() || !(*server)->can_change()) {
    return std::move(*here);
  }
  if (is_offline(options)) {
    say("the network is switched off: nobody is asked whether there is a newer {}", here->name);
    return std::move(*here);
  }
  auto pulled = ask_servers<StoredModel>(
      whole, options, [&](const Source& source) { return source.fetch(whole, options); });
  if (pulled) return pulled;
  if (pulled.error().code == ErrorCode::kNotFound) {
    say("no server offers {}; it stays as it is", whole);
    return std::move(*here);
  }
  if (pulled.error().code == ErrorCode::kNetwork) {
    pulled.error().message += fmt::format(" The {} that is here can be used as it is.", whole);
  }
  return pulled;
}

Result<RemoteModel> locate_model(const std::string& name, const SourceOptions& options) {
  return ask_servers<RemoteModel>(
      name, options, [&](const Source& source) { return source.locate(name, options); });
}

std::vector<StoredModel> list_models() {
  std::vector<StoredModel> models;
  for (const auto& source : all_sources()) {
    for (StoredModel& model : source->list()) models.push_back(std::move(model));
  }
  return models;
}

}  // namespace llmrun::store
