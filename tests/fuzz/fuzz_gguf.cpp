// Any bytes through the GGUF reader; of a file that opens, all metadata in all forms and all tensor
// bytes, and a copy through the Writer that must open again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/reader.h"
#include "gguf/writer.h"

namespace {

using namespace llmrun;  // NOLINT: a program of one file

uint64_t touch(const gguf::Value& value, int depth) {
  uint64_t sum = value.to_display().size() + value.describe().size();
  if (const auto number = value.as<int32_t>()) sum += static_cast<uint64_t>(*number);
  if (const auto number = value.as<float>()) sum += *number > 0.0F ? 1 : 0;
  if (const auto numbers = value.as_array<uint64_t>()) {
    for (const uint64_t number : *numbers) sum += number;
  }
  if (const auto numbers = value.as_array<double>()) sum += numbers->size();
  if (const auto flags = value.as_array<bool>()) sum += flags->size();
  if (const auto texts = value.as_array<std::string_view>()) {
    for (const std::string_view text : *texts) {
      for (const char c : text) sum += static_cast<unsigned char>(c);
    }
  }
  if (depth > 4) return sum;
  if (const auto elements = value.elements()) {
    for (const gguf::Value& element : *elements) sum += touch(element, depth + 1);
  }
  return sum;
}

// The copy has the same directory, so it must be readable whatever the original looked like.
void copy_and_reopen(const gguf::File& file) {
  gguf::Writer writer(file.alignment());
  for (const auto& entry : file.metadata().entries()) {
    if (entry.key != "general.alignment") writer.add_metadata(entry.key, entry.value);
  }
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    writer.add_tensor(tensor.name, tensor.type, std::span(tensor.dims).first(tensor.n_dims),
                      tensor.data());
  }
  const auto bytes = writer.to_bytes();
  if (!bytes) std::abort();
  const auto copy = gguf::File::from_bytes(*bytes);
  if (!copy || copy->tensors().size() != file.tensors().size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of exactly this size, 8-byte aligned as a mapped file is.
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(data[i]);
  const auto file = gguf::File::from_bytes(bytes);
  if (!file) return 0;
  volatile uint64_t sink = 0;
  for (const auto& entry : file->metadata().entries()) sink = sink + touch(entry.value, 0);
  for (const gguf::TensorInfo& tensor : file->tensors()) {
    for (const std::byte b : tensor.data()) sink = sink + std::to_integer<uint64_t>(b);
  }
  if (size < 4096) copy_and_reopen(*file);
  return 0;
}
