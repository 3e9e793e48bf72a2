// Describes a batch by what its output depends on, and compares two descriptions.
#include "batch/identity.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/file_io.h"
#include "base/sha256.h"
#include "batch/json.h"
#include "llmrun/tools.h"

namespace llmrun::batch {
namespace {

constexpr uint64_t kHeadBytes = uint64_t{4} << 20;
constexpr uint64_t kSampleBytes = uint64_t{16} << 10;
constexpr uint64_t kSamples = 64;

Result<void> add_range(const FileDescriptor& file, const std::string& path, uint64_t offset,
                       uint64_t n_bytes, Sha256& hash) {
  std::vector<std::byte> bytes(n_bytes);
  size_t n_read = 0;
  while (n_read < bytes.size()) {
    const ssize_t n = ::pread(file.get(), bytes.data() + n_read, bytes.size() - n_read,
                              static_cast<off_t>(offset + n_read));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("cannot read", path);
    if (n == 0) break;
    n_read += static_cast<size_t>(n);
  }
  hash.update(std::span(bytes).first(n_read));
  return {};
}

// The names and values of two objects that are not alike.
void add_differences(const Json& before, const Json& now, std::string& text) {
  const auto add = [&](const std::string& name, const Json& was, const Json& is) {
    text += text.empty() ? "" : ", ";
    const bool is_short = !was.is_object() && !is.is_object() && to_text(was).size() <= 40 &&
                          to_text(is).size() <= 40;
    text +=
        is_short ? fmt::format("{} (it was {} and is {})", name, to_text(was), to_text(is)) : name;
  };
  for (const auto& [name, is] : now.items()) {
    const Json was = before.value(name, Json());
    if (was == is) continue;
    const bool is_nested = name == "options" || name == "models";
    if (is_nested && was.is_object() && is.is_object()) {
      add_differences(was, is, text);
    } else {
      add(name, was, is);
    }
  }
  for (const auto& [name, was] : before.items()) {
    if (!now.contains(name)) add(name, was, Json());
  }
}

}  // namespace

Result<std::string> model_fingerprint(const std::filesystem::path& path) {
  LLMRUN_ASSIGN(const FileDescriptor file, open_regular_file(path.string()));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("cannot read", path.string());
  const auto size = static_cast<uint64_t>(status.st_size);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(&size, 1)));
  LLMRUN_TRY(add_range(file, path.string(), 0, std::min(size, kHeadBytes), hash));
  for (uint64_t i = 1; size > kHeadBytes && i <= kSamples; ++i) {
    const uint64_t end = kHeadBytes + (size - kHeadBytes) / kSamples * i;
    LLMRUN_TRY(
        add_range(file, path.string(), end - std::min(end, kSampleBytes), kSampleBytes, hash));
  }
  return hash.finish();
}

namespace {

// Everything about a model that its answers depend on.
Result<Json> describe(const FoundModel& found) {
  const LoadOptions& load = found.load;
  Json model = {
      {"device", load.device},
      {"cpu-target", load.cpu_target.empty() ? describe_machine().chosen_target : load.cpu_target}};
  if (load.gpu_layers) model["gpu-layers"] = *load.gpu_layers;
  if (load.cpu_experts) model["cpu-experts"] = *load.cpu_experts;
  if (load.split_tensors) model["split-mode"] = "tensor";
  LLMRUN_ASSIGN(model["hash"], model_fingerprint(found.path));
  const RopeOverride& rope = load.rope;
  if (rope.any()) {
    model["rope"] =
        fmt::format("{} {} {} {}", rope.scaling, rope.factor, rope.base, rope.original_context);
  }
  for (const AdapterOption& adapter : load.adapters) {
    LLMRUN_ASSIGN(std::string hash, model_fingerprint(adapter.path));
    model["adapters"].push_back({{"hash", std::move(hash)}, {"scale", adapter.scale}});
  }
  if (!load.go_template.empty()) model["go-template"] = load.go_template;
  if (!found.identity.empty()) model["layers"] = found.identity;
  return model;
}

}  // namespace

Result<std::string> job_text(const Options& options, const Input& input,
                             std::span<const Group> groups) {
  Json models = Json::object();
  for (const Group& group : groups) {
    LLMRUN_ASSIGN(models[group.model], describe(group.found));
  }
  Json chosen = {{"model", options.model},
                 {"system", options.prompts.system},
                 {"prompt-template", options.prompts.prompt_template},
                 {"raw", options.prompts.raw},
                 {"max-tokens", options.max_tokens},
                 {"loop-guard", options.loop_guard},
                 {"ctx", options.context.context_tokens},
                 {"k-type", options.context.k_type},
                 {"v-type", options.context.v_type},
                 {"unordered", options.unordered}};
  for (const auto& [name, text] : options.sampling_choices) chosen[name] = text;
  const Json job = {{"input", input.sha256},
                    {"rows", input.rows.size()},
                    {"models", std::move(models)},
                    {"options", std::move(chosen)},
                    {"version", version()}};
  return to_text(job);
}

std::string job_difference(std::string_view before, std::string_view now) {
  const Json was = Json::parse(before, nullptr, false);
  const Json is = Json::parse(now, nullptr, false);
  if (!was.is_object() || !is.is_object()) return before == now ? "" : "everything";
  std::string text;
  add_differences(was, is, text);
  return text;
}

}  // namespace llmrun::batch
