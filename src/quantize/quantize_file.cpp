// Metadata go over as they are, but for what speaks of types, parts and importance.
#include "quantize/quantize_file.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "gguf/writer.h"

namespace llmrun::quantize {
namespace {

constexpr uint32_t kQuantizationVersion = 2;  // of the block layouts that files have today

bool is_rewritten(std::string_view key) {
  constexpr std::array<std::string_view, 7> kKeys = {
      "general.file_type", "general.quantization_version", "general.alignment", "split.no",
      "split.count",       "split.tensors.count",          "GGUF.version"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end() ||
         key.starts_with("quantize.imatrix.");
}

void add_metadata(const gguf::File& file, const FileRequest& request, gguf::Writer& writer) {
  for (const gguf::Metadata::Entry& entry : file.metadata().entries()) {
    if (!is_rewritten(entry.key)) writer.add_metadata(entry.key, entry.value);
  }
  writer.add_metadata("general.quantization_version", kQuantizationVersion);
  if (request.mix->file_type) writer.add_metadata("general.file_type", *request.mix->file_type);
  if (request.importance == nullptr) return;
  writer.add_metadata("quantize.imatrix.file", request.importance_path);
  const auto& datasets = request.importance->datasets;
  if (!datasets.empty()) writer.add_metadata("quantize.imatrix.dataset", datasets.front());
  writer.add_metadata("quantize.imatrix.entries_count",
                      static_cast<uint32_t>(request.importance->entries.size()));
  writer.add_metadata("quantize.imatrix.chunks_count", request.importance->n_chunks);
}

// Gives the pages of a tensor that is done back to the system.
void release(const gguf::File& file, const gguf::TensorInfo& tensor) {
  if (tensor.part >= file.mappings().size()) return;
  file.mappings()[tensor.part].advise(MappedFile::Advice::kDontNeed, tensor.offset,
                                      tensor.size_bytes);
}

}  // namespace

Result<std::vector<TensorError>> write_quantized(const gguf::File& file,
                                                 const FileRequest& request) {
  gguf::Writer writer(file.alignment());
  add_metadata(file, request, writer);
  ThreadPool pool(request.threads);
  std::vector<TensorError> errors;
  uint64_t done = 0;
  for (const PlannedTensor& tensor : request.tensors) {
    const gguf::TensorInfo& source = *tensor.source;
    const auto produce = [&, &source = source](const gguf::Writer::Sink& sink) -> Result<void> {
      const auto on_progress = [&](double share) -> Result<void> {
        if (!request.progress) return {};
        const double bytes = share * static_cast<double>(source.size_bytes);
        return request.progress(done + static_cast<uint64_t>(bytes), file.tensor_bytes());
      };
      LLMRUN_ASSIGN(const TensorError error, stream_tensor(tensor, pool, sink, on_progress));
      errors.push_back(error);
      release(file, source);
      done += source.size_bytes;
      return {};
    };
    writer.add_tensor(source.name, quant::traits(tensor.to).gguf_id,
                      std::span(source.dims).first(source.n_dims), produce);
  }
  LLMRUN_TRY(writer.write(request.output));
  return errors;
}

}  // namespace llmrun::quantize
