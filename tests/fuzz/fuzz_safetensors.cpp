// Any bytes as a .safetensors file; of one that is accepted, every value that has a float form.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "convert/rows.h"
#include "convert/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun::convert;  // NOLINT: a program of one file
  // A copy of exactly this size.
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  const auto tensors = read_safetensors(bytes, "fuzz");
  if (!tensors) {
    if (tensors.error().message.empty() || tensors.error().context.empty()) std::abort();
    return 0;
  }
  uint64_t n_bytes = 0;
  for (const SourceTensor& tensor : *tensors) {
    n_bytes += tensor.bytes.size();
    if (tensor.n_elements == 0 || tensor.dtype->to_float == nullptr) continue;
    const Rows rows = rows_of(tensor);
    std::vector<float> values(static_cast<size_t>(rows.n_elements()));
    rows.read(0, rows.n_rows(), values.data());
  }
  if (n_bytes > size) std::abort();  // the tensors would overlap
  return 0;
}
