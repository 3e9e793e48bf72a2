// A config.json, a zero byte, and a .safetensors file: converted by the family that the config
// names, written to memory and read back.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "convert/encode.h"
#include "convert/families/family.h"
#include "gguf/reader.h"

namespace {

using namespace llmrun;           // NOLINT: a program of one file
using namespace llmrun::convert;  // NOLINT

constexpr uint64_t kMaxOutput = uint64_t{1} << 22;

Result<void> write(const Conversion& conversion, gguf::Writer& writer) {
  uint64_t n_bytes = 0;
  for (const OutputTensor& tensor : conversion.outputs()) {
    n_bytes += bytes_of(tensor, quant::TensorType::Q8_0);
  }
  if (n_bytes > kMaxOutput) return {};
  ThreadPool pool(1);
  EncodeContext context;
  context.pool = &pool;
  context.wrote = [](uint64_t) -> Result<void> { return {}; };
  for (const OutputTensor& tensor : conversion.outputs()) {
    declare_tensor(writer, tensor, quant::TensorType::Q8_0, context);
  }
  LLMRUN_ASSIGN(const auto bytes, writer.to_bytes());
  const auto file = gguf::File::from_bytes(bytes);
  if (!file || file->tensors().size() != conversion.outputs().size()) std::abort();
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  if (zero == std::string_view::npos) return 0;
  const std::string_view weights = input.substr(zero + 1);
  const std::vector<std::byte> bytes(
      reinterpret_cast<const std::byte*>(weights.data()),
      reinterpret_cast<const std::byte*>(weights.data()) + weights.size());
  auto tensors = read_safetensors(bytes, "fuzz");
  auto document = parse_json(input.substr(0, zero), "config.json");
  if (!tensors || !document) return 0;
  auto checkpoint = Checkpoint::from_tensors(std::move(*tensors));
  if (!checkpoint) return 0;
  const Config config(std::move(*document), "config.json");
  for (const std::string& name : config.texts("architectures")) {
    const ConvertFamily convert = find_family(name);
    if (convert == nullptr) continue;
    gguf::Writer writer;
    Conversion conversion(config, *checkpoint, writer, size % 2 == 0);
    convert(conversion);
    conversion.check_all_used();
    const auto result = config.ok() ? write(conversion, writer) : config.result();
    if (!result && result.error().message.empty()) std::abort();
    return 0;
  }
  return 0;
}
