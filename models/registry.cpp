// The table of architectures, made from registry.def.
#include "models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/edit_distance.h"
#include "base/error.h"
#include "models/common/encoder.h"
#include "runtime/model_metadata.h"
#include "runtime/rope_override.h"
#include "runtime/spec_check.h"

namespace llmrun::models {

using runtime::ModelMetadata;
using runtime::ModelSpec;

#define LLMRUN_ARCHITECTURE(name, stem) ModelSpec build_##stem(ModelMetadata& m);
#include "models/registry.def"
#undef LLMRUN_ARCHITECTURE

namespace {

struct Entry {
  std::string_view name;
  ModelSpec (*build)(ModelMetadata&);
};

constexpr auto kEntries = std::to_array<Entry>({
#define LLMRUN_ARCHITECTURE(name, stem) {name, &build_##stem},
#include "models/registry.def"
#undef LLMRUN_ARCHITECTURE
});

std::vector<std::string_view> nearest(std::string_view name) {
  std::vector<std::string_view> names = registered_architectures();
  name = name.substr(0, 64);
  std::stable_sort(names.begin(), names.end(), [&](std::string_view a, std::string_view b) {
    return edit_distance(name, a) < edit_distance(name, b);
  });
  names.resize(std::min<size_t>(names.size(), 3));
  return names;
}

}  // namespace

std::vector<std::string_view> registered_architectures() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kEntries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  return names;
}

Result<ModelSpec> build_spec(const gguf::File& file, const RopeOverride& rope) {
  LLMRUN_TRY(runtime::check_override(rope));
  auto name = file.metadata().get<std::string>("general.architecture");
  if (!name) return with_context(std::move(name).error(), file.path());
  const auto* const entry = std::find_if(kEntries.begin(), kEntries.end(),
                                         [&](const Entry& e) { return e.name == *name; });
  if (entry == kEntries.end()) {
    return make_error(ErrorCode::kUnsupported,
                      "this build does not know the architecture \"{}\" of {}; the nearest of the "
                      "{} it knows are {}",
                      name->substr(0, 64), file.path().empty() ? "the model" : file.path(),
                      kEntries.size(), fmt::join(nearest(*name), ", "));
  }
  ModelMetadata metadata(file, rope);
  LLMRUN_TRY(metadata.status());
  ModelSpec spec = entry->build(metadata);
  read_embedding_head(metadata, spec);
  LLMRUN_TRY(metadata.status());
  LLMRUN_TRY(runtime::check_spec(spec));
  LLMRUN_TRY(runtime::check_followed(spec, rope));
  return spec;
}

}  // namespace llmrun::models
