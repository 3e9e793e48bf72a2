// Reading checks everything: the file may come from anywhere.
#include "quantize/importance.h"

#include <cmath>
#include <cstring>
#include <span>
#include <string_view>

#include "base/error.h"
#include "gguf/reader.h"
#include "gguf/writer.h"

namespace llmrun::quantize {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr uint32_t kF32 = 0;
// Of a weight, relative to the mean: a channel that was silent in the text may speak in another.
constexpr float kLeastWeight = 1e-3F;

Result<std::vector<float>> floats_of(const gguf::TensorInfo& tensor) {
  if (tensor.type != kF32) {
    return make_error(ErrorCode::kBadModel, "tensor '{}' of an importance file is not F32",
                      tensor.name);
  }
  std::vector<float> values(static_cast<size_t>(tensor.n_elements));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  for (const float value : values) {
    if (std::isfinite(value) && value >= 0.0F) continue;
    return make_error(
        ErrorCode::kBadModel,
        "tensor '{}' of the importance file holds {}, where only numbers of 0 or more "
        "make sense; gather it again with 'llmrun importance'",
        tensor.name, value);
  }
  return values;
}

Result<ImportanceEntry> read_entry(const gguf::File& file, const gguf::TensorInfo& sums,
                                   std::string_view name) {
  LLMRUN_ASSIGN(const gguf::TensorInfo* counts, file.tensor(std::string(name) += kCounts));
  ImportanceEntry entry;
  LLMRUN_ASSIGN(entry.sums, floats_of(sums));
  LLMRUN_ASSIGN(entry.counts, floats_of(*counts));
  entry.n_in = static_cast<int64_t>(sums.dims[0]);
  entry.n_matrices = static_cast<int64_t>(entry.counts.size());
  if (entry.n_in == 0 || entry.counts.empty() ||
      sums.n_elements / sums.dims[0] != counts->n_elements) {
    return make_error(ErrorCode::kBadModel,
                      "tensor '{}' of the importance file has {} rows of sums and {} counts", name,
                      entry.n_in == 0 ? 0 : sums.n_elements / sums.dims[0], counts->n_elements);
  }
  return entry;
}

}  // namespace

std::vector<float> ImportanceEntry::weights(int64_t matrix) const {
  const std::span row(sums.data() + matrix * n_in, static_cast<size_t>(n_in));
  double sum = 0.0;
  for (const float value : row) sum += static_cast<double>(value);
  const double mean = sum / static_cast<double>(n_in);
  if (!(mean > 0.0) || !(counts[static_cast<size_t>(matrix)] > 0.0F)) return {};
  std::vector<float> result;
  for (const float value : row) {
    result.push_back(std::max(static_cast<float>(static_cast<double>(value) / mean), kLeastWeight));
  }
  return result;
}

Result<Importance> read_importance(const std::string& path) {
  LLMRUN_ASSIGN(const gguf::File file, gguf::File::open(path));
  const gguf::Metadata& metadata = file.metadata();
  LLMRUN_ASSIGN(const std::string type,
                metadata.get_or<std::string>("general.type", std::string("model")));
  if (type != "imatrix") {
    return with_context({ErrorCode::kUsage,
                         fmt::format("this is no importance file (general.type is \"{}\"); "
                                     "'llmrun importance' makes one",
                                     type.substr(0, 64)),
                         {}},
                        path);
  }
  Importance importance;
  LLMRUN_ASSIGN(importance.datasets, metadata.get_array_or_empty<std::string>("imatrix.datasets"));
  LLMRUN_ASSIGN(importance.n_chunks, metadata.get_or<uint32_t>("imatrix.chunk_count", 0U));
  LLMRUN_ASSIGN(importance.chunk_tokens, metadata.get_or<uint32_t>("imatrix.chunk_size", 0U));
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string_view name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    auto entry = read_entry(file, tensor, name);
    if (!entry) return with_context(std::move(entry).error(), path);
    importance.entries.emplace(name, std::move(*entry));
  }
  if (!importance.entries.empty()) return importance;
  return with_context({ErrorCode::kBadModel, "the importance file is empty", {}}, path);
}

Result<void> write_importance(const Importance& importance, const std::string& path) {
  gguf::Writer writer;
  writer.add_metadata("general.type", "imatrix");
  writer.add_array("imatrix.datasets", importance.datasets);
  writer.add_metadata("imatrix.chunk_count", importance.n_chunks);
  writer.add_metadata("imatrix.chunk_size", importance.chunk_tokens);
  for (const auto& [name, entry] : importance.entries) {
    const auto n_matrices = static_cast<uint64_t>(entry.n_matrices);
    const uint64_t sums_shape[] = {static_cast<uint64_t>(entry.n_in), n_matrices};
    const uint64_t counts_shape[] = {1, n_matrices};
    writer.add_tensor(name + std::string(kSums), kF32, sums_shape,
                      std::as_bytes(std::span(entry.sums)));
    writer.add_tensor(name + std::string(kCounts), kF32, counts_shape,
                      std::as_bytes(std::span(entry.counts)));
  }
  return writer.write(path);
}

}  // namespace llmrun::quantize
