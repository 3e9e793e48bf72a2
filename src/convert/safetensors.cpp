// Header JSON to checked views.
#include "convert/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/byte_cursor.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "convert/json_text.h"
#include "convert/limits.h"

namespace llmrun::convert {
namespace {

struct Placed {
  SourceTensor tensor;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Result<std::vector<uint64_t>> read_numbers(const Json& entry, const char* key, size_t max_size) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array() || found->size() > max_size) {
    return make_error(ErrorCode::kBadModel, "its {} is no list of at most {} numbers", key,
                      max_size);
  }
  std::vector<uint64_t> numbers;
  for (const Json& number : *found) {
    if (!number.is_number_unsigned()) {
      return make_error(ErrorCode::kBadModel, "its {} holds something that is no size", key);
    }
    numbers.push_back(number.get<uint64_t>());
  }
  return numbers;
}

Result<const Dtype*> read_dtype(const Json& entry) {
  const auto found = entry.find("dtype");
  if (found == entry.end() || !found->is_string()) {
    return make_error(ErrorCode::kBadModel, "it has no dtype");
  }
  const auto& name = found->get_ref<const std::string&>();
  const Dtype* dtype = find_dtype(name);
  if (dtype != nullptr) return dtype;
  return make_error(ErrorCode::kUnsupported,
                    "its dtype \"{}\" is not known to this version; save the model as F32, F16 or "
                    "BF16",
                    name.substr(0, 32));
}

Result<Placed> read_entry(const std::string& name, const Json& entry,
                          std::span<const std::byte> data) {
  if (name.empty() || name.size() > kMaxSourceNameBytes) {
    return make_error(ErrorCode::kBadModel, "its name is empty or longer than {} bytes",
                      kMaxSourceNameBytes);
  }
  if (!entry.is_object()) return make_error(ErrorCode::kBadModel, "its entry is no object");
  Placed placed;
  placed.tensor.name = name;
  LLMRUN_ASSIGN(placed.tensor.dtype, read_dtype(entry));
  LLMRUN_ASSIGN(placed.tensor.shape, read_numbers(entry, "shape", kMaxSourceDimensions));
  LLMRUN_ASSIGN(const auto offsets, read_numbers(entry, "data_offsets", 2));
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data.size()) {
    return make_error(ErrorCode::kBadModel,
                      "its data_offsets lie outside the {} bytes of data; the file was cut short "
                      "or is damaged: fetch it again",
                      data.size());
  }
  std::optional<uint64_t> n_elements = 1;
  for (const uint64_t dim : placed.tensor.shape) {
    n_elements = n_elements ? checked_mul(*n_elements, dim) : std::nullopt;
  }
  const auto n_bytes = n_elements ? bytes_of(*placed.tensor.dtype, *n_elements) : std::nullopt;
  if (!n_bytes || *n_bytes != offsets[1] - offsets[0]) {
    return make_error(ErrorCode::kBadModel, "its shape and dtype do not make its {} bytes",
                      offsets[1] - offsets[0]);
  }
  placed.tensor.n_elements = *n_elements;
  placed.begin = offsets[0];
  placed.end = offsets[1];
  placed.tensor.bytes = data.subspan(placed.begin, *n_bytes);
  return placed;
}

Result<std::vector<SourceTensor>> in_order(std::vector<Placed> placed, uint64_t data_bytes) {
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::vector<SourceTensor> tensors;
  uint64_t end = 0;
  for (Placed& one : placed) {
    if (one.begin != end) {
      return make_error(ErrorCode::kBadModel,
                        "tensor '{}' begins at byte {} of the data where {} was expected: tensors "
                        "overlap, or bytes belong to none",
                        one.tensor.name, one.begin, end);
    }
    end = one.end;
    tensors.push_back(std::move(one.tensor));
  }
  if (end != data_bytes) {
    return make_error(ErrorCode::kBadModel, "the last {} bytes belong to no tensor",
                      data_bytes - end);
  }
  return tensors;
}

Result<std::vector<SourceTensor>> read(std::span<const std::byte> file, const std::string& path) {
  ByteCursor cursor(file);
  const auto header_bytes = cursor.read<uint64_t>();
  if (!header_bytes || *header_bytes > cursor.remaining() || *header_bytes > kMaxHeaderBytes) {
    return make_error(ErrorCode::kBadModel,
                      "this is no safetensors file: its first 8 bytes should be the length of a "
                      "header of at most {} bytes. A file fetched with Git may be a pointer to "
                      "large-file storage only (git lfs pull)",
                      kMaxHeaderBytes);
  }
  LLMRUN_ASSIGN(const JsonDocument header, parse_json(*cursor.take_text(*header_bytes), path));
  if (!header->is_object()) return make_error(ErrorCode::kBadModel, "the header is no object");
  if (header->size() > kMaxSourceTensors) {
    return make_error(ErrorCode::kBadModel, "the header names {} tensors, more than {}",
                      header->size(), kMaxSourceTensors);
  }
  const auto data = *cursor.take(cursor.remaining());
  std::vector<Placed> placed;
  for (const auto& [name, entry] : header->items()) {
    if (name == "__metadata__") continue;
    auto one = read_entry(name, entry, data);
    if (!one) {
      return with_context(std::move(one).error(),
                          fmt::format("tensor '{}'", name.substr(0, kMaxSourceNameBytes)));
    }
    placed.push_back(std::move(*one));
  }
  return in_order(std::move(placed), data.size());
}

}  // namespace

Result<std::vector<SourceTensor>> read_safetensors(std::span<const std::byte> file,
                                                   const std::string& path) {
  auto tensors = read(file, path);
  if (tensors || tensors.error().context == path) return tensors;
  return with_context(std::move(tensors).error(), path);
}

}  // namespace llmrun::convert
