// Opens tiny model files, runs them and compares with stored logits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/npy.h"
#include "gguf/reader.h"
#include "kernels/backend.h"
#include "models/registry.h"
#include "paths.h"
#include "runtime/model.h"

namespace llmrun::testing {

// The ids of the stored logits (24 rows).
inline const std::vector<TokenId> kIds = {3,   17, 64, 5,  99, 120, 33, 7,  7,  42, 81, 2,
                                          110, 9,  55, 23, 76, 100, 1,  88, 12, 64, 31, 127};

inline runtime::ContextOptions float_cache(int64_t max_sequences = 1) {
  runtime::ContextOptions options;
  options.context_tokens = 64;
  options.max_sequences = max_sequences;
  options.batch_tokens = 64;
  options.k_type = kernels::CacheType::kF32;
  options.v_type = kernels::CacheType::kF32;
  return options;
}

// The bytes of all of a plan's items with this name.
inline uint64_t bytes_of(const runtime::MemoryPlan& plan, std::string_view component) {
  uint64_t bytes = 0;
  for (const runtime::PlanItem& item : plan.items) {
    if (item.component == component) bytes += item.bytes;
  }
  return bytes;
}

struct TinyModel {
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<runtime::Model> model;
};

inline Result<TinyModel> open_tiny(const std::string& path, kernels::Backend& backend) {
  TinyModel tiny;
  LLMRUN_ASSIGN(gguf::File file, gguf::File::open(path));
  tiny.file = std::make_unique<gguf::File>(std::move(file));
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(*tiny.file));
  LLMRUN_ASSIGN(tiny.model, runtime::Model::load(*tiny.file, backend, std::move(spec)));
  return tiny;
}

inline std::unique_ptr<kernels::Backend> cpu_backend(int threads = 2) {
  kernels::BackendOptions options;
  options.threads = threads;
  auto backend = kernels::make_backend("cpu", options);
  return backend ? std::move(*backend) : nullptr;
}

// Feeds `ids` in chunks of `chunk` tokens and collects the logits of all of them.
inline Result<std::vector<float>> run_chunked(runtime::Context& context,
                                              const std::vector<TokenId>& ids, size_t chunk) {
  std::vector<float> all;
  LLMRUN_ASSIGN(const runtime::SequenceId sequence, context.open_sequence());
  for (size_t i = 0; i < ids.size(); i += chunk) {
    const size_t n = std::min(chunk, ids.size() - i);
    runtime::Batch batch;
    batch.chunks.push_back({.sequence = sequence,
                            .tokens = std::span(ids).subspan(i, n),
                            .logits = runtime::WantedLogits::kAll});
    LLMRUN_ASSIGN(const runtime::Logits logits, context.forward(batch));
    all.insert(all.end(), logits.data, logits.data + logits.n_rows * logits.n_vocab);
  }
  context.close_sequence(sequence);
  return all;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

inline bool registered(const std::string& architecture) {
  const auto names = models::registered_architectures();
  return std::find(names.begin(), names.end(), architecture) != names.end();
}

// Mean squared error over the mean square of what is expected.
inline double normalised_error(std::span<const float> got, std::span<const float> expected) {
  if (got.size() != expected.size()) return std::nan("");
  double error = 0.0, size = 0.0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = static_cast<double>(got[i]) - static_cast<double>(expected[i]);
    error += difference * difference;
    size += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return error / size;
}

// The *.gguf files of a folder that have stored logits beside them, without the ending, sorted.
inline std::vector<std::string> models_in(const std::string& folder) {
  std::vector<std::string> stems;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::filesystem::path path = entry.path();
    if (path.extension() != ".gguf") continue;
    path.replace_extension();
    if (std::filesystem::exists(path.string() + ".npy")) stems.push_back(path.string());
  }
  std::sort(stems.begin(), stems.end());
  return stems;
}

// The names of the models of the repository itself.
inline std::vector<std::string> stored_models() {
  std::vector<std::string> names;
  for (const std::string& stem : models_in(std::string(tests::kSourceDir) + "/tests/data/archs/")) {
    names.push_back(std::filesystem::path(stem).filename().string());
  }
  return names;
}

// A name in the characters that GoogleTest allows.
inline std::string test_name(std::string name) {
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

// general.architecture; empty when the file cannot be read.
inline std::string architecture_of(const std::string& path) {
  const auto file = gguf::File::open(path);
  if (!file) return {};
  return file->metadata().get<std::string>("general.architecture").value_or("");
}

}  // namespace llmrun::testing
