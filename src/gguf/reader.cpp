// Builds the directory of a GGUF file from its bytes, trusting none of them.
#include "gguf/reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/byte_cursor.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/utf8.h"
#include "gguf/split.h"
#include "gguf/type_sizes.h"

namespace llmrun::gguf {
namespace {

// What one file holds.
struct Part {
  uint32_t version = 0;
  uint64_t alignment = kDefaultAlignment;
  Metadata metadata;
  std::vector<TensorInfo> tensors;
};

struct Header {
  uint32_t version = 0;
  uint64_t n_tensors = 0;
  uint64_t n_keys = 0;
};

// Smallest entries that can be: they bound the counts of the header by the length of the file.
constexpr uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;             // length, name, type, value
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;  // length, name, n, dim, type, offset

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kBadModel, format, std::forward<Args>(args)...);
}

tl::unexpected<Error> cut_off(std::string_view what) {
  return bad("the file ends inside {}; it is incomplete, download or copy it again", what);
}

// The same error, with the place in the file.
tl::unexpected<Error> at_byte(Error error, uint64_t offset) {
  return with_context(std::move(error), fmt::format("byte {}", offset));
}

// What a file that is no GGUF probably is.
std::string_view guess_format(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 64));
  if (text.empty()) return "the file is empty; download or copy it again";
  for (const std::string_view magic : {"lmgg", "fmgg", "tjgg"}) {
    if (text.starts_with(magic)) {
      return "it is in the GGML format from before GGUF; get the model as GGUF";
    }
  }
  if (text.starts_with("version https://git-lfs")) {
    return "it is a Git LFS pointer, not the model itself; run 'git lfs pull'";
  }
  if (text.starts_with("PK\x03\x04")) return "it is a zip or PyTorch file; convert it to GGUF";
  if (text.starts_with("<!DOCTYPE") || text.starts_with("<html")) {
    return "it is a web page; the download went wrong";
  }
  if (text.size() > 9 && text.substr(8).starts_with("{\"")) {
    return "it looks like a safetensors file; convert it to GGUF";
  }
  return "it does not begin with 'GGUF'";
}

Result<Header> read_header(ByteCursor& cursor, std::span<const std::byte> bytes) {
  const auto magic = cursor.take_text(4);
  if (!magic || *magic != "GGUF") return bad("not a GGUF file: {}", guess_format(bytes));
  const auto version = cursor.read<uint32_t>();
  if (!version) return cut_off("the header");
  // Version 3 came with a big-endian variant, told apart only by its version reading 0x03000000.
  if ((*version & 0xFFFF) == 0 && *version != 0) {
    return make_error(ErrorCode::kUnsupported,
                      "the file is big-endian (made for s390x or such); get the little-endian one");
  }
  if (*version == 1) {
    return make_error(
        ErrorCode::kUnsupported,
        "GGUF version 1 (August 2023) is not supported; get a newer file of the model");
  }
  if (*version != 2 && *version != 3) {
    return make_error(ErrorCode::kUnsupported,
                      "GGUF version {} is not known here (2 and 3 are); update llmrun", *version);
  }
  const auto n_tensors = cursor.read<uint64_t>();
  const auto n_keys = cursor.read<uint64_t>();
  if (!n_tensors || !n_keys) return cut_off("the header");
  if (*n_tensors > kMaxTensors) {
    return bad("{} tensors; at most {} are allowed", *n_tensors, kMaxTensors);
  }
  if (*n_keys > kMaxKeys) return bad("{} metadata keys; at most {} are allowed", *n_keys, kMaxKeys);
  if (*n_keys > cursor.remaining() / kLeastKeyBytes) return cut_off("the metadata");
  if (*n_tensors > cursor.remaining() / kLeastTensorBytes) return cut_off("the tensor list");
  return Header{*version, *n_tensors, *n_keys};
}

Result<std::string_view> read_name(ByteCursor& cursor, uint64_t max_bytes, std::string_view what) {
  const auto length = cursor.read<uint64_t>();
  if (!length) return cut_off(what);
  if (*length > max_bytes) {
    return bad("{} is {} bytes long; at most {} are allowed", what, *length, max_bytes);
  }
  const auto name = cursor.take_text(*length);
  if (!name) return cut_off(what);
  if (name->empty()) return bad("{} is empty", what);
  if (!utf8::is_valid(*name)) return bad("{} is not UTF-8", what);
  return *name;
}

Result<void> read_key(ByteCursor& cursor, Metadata& metadata) {
  LLMRUN_ASSIGN(const auto key, read_name(cursor, kMaxKeyBytes, "the name of a metadata key"));
  const auto type = cursor.read<uint32_t>();
  if (!type) return cut_off("a metadata key");
  if (*type >= kNumValueTypes) {
    return bad("metadata key '{}': unknown value type {}", key, *type);
  }
  auto value = Value::scan(cursor, static_cast<ValueType>(*type));
  if (!value) {
    value.error().message = fmt::format("metadata key '{}': {}", key, value.error().message);
    return tl::unexpected<Error>(std::move(value).error());
  }
  if (!metadata.add(key, *value)) return bad("metadata key '{}' stands twice in the file", key);
  return {};
}

Result<void> read_metadata(ByteCursor& cursor, uint64_t n_keys, Metadata& metadata) {
  metadata.reserve(n_keys);
  for (uint64_t i = 0; i < n_keys; ++i) {
    const uint64_t start = cursor.offset();
    auto read = read_key(cursor, metadata);
    if (!read) return at_byte(std::move(read).error(), start);
  }
  return {};
}

Result<uint64_t> read_alignment(const Metadata& metadata) {
  LLMRUN_ASSIGN(const uint64_t alignment,
                metadata.get_or<uint64_t>("general.alignment", kDefaultAlignment));
  if (alignment == 0 || alignment % 8 != 0 || alignment > kMaxAlignment) {
    return bad("general.alignment is {}; it must be a multiple of 8 up to {}", alignment,
               kMaxAlignment);
  }
  return alignment;
}

// Fills n_dims, dims and n_elements. Three and more zero-free dimensions whose product overflows
// are the classic attack on readers.
Result<void> read_shape(ByteCursor& cursor, TensorInfo& tensor) {
  const auto n_dims = cursor.read<uint32_t>();
  if (!n_dims) return cut_off("the tensor list");
  if (*n_dims > kMaxDimensions) {
    return bad("{} dimensions; at most {} are allowed", *n_dims, kMaxDimensions);
  }
  tensor.n_dims = *n_dims;
  tensor.n_elements = 1;
  for (uint32_t i = 0; i < *n_dims; ++i) {
    const auto dimension = cursor.read<uint64_t>();
    if (!dimension) return cut_off("the tensor list");
    if (*dimension == 0) return bad("dimension {} is 0", i);
    const auto n_elements = checked_mul(tensor.n_elements, *dimension);
    // Signed, because shapes are used in signed arithmetic from here on.
    if (!n_elements || *n_elements > uint64_t{INT64_MAX}) return bad("more than 2^63 elements");
    tensor.dims[i] = *dimension;
    tensor.n_elements = *n_elements;
  }
  return {};
}

Result<void> read_type_and_offset(ByteCursor& cursor, TensorInfo& tensor) {
  const auto type = cursor.read<uint32_t>();
  const auto offset = cursor.read<uint64_t>();
  if (!type || !offset) return cut_off("the tensor list");
  const TypeSize* size = find_type_size(*type);
  if (size == nullptr) {
    return make_error(ErrorCode::kUnsupported,
                      "tensor type {} is unknown or was withdrawn; update llmrun, or get another "
                      "quantisation of the model",
                      *type);
  }
  tensor.type = *type;
  tensor.offset = *offset;
  if (tensor.dims[0] % size->block_elements != 0) {
    return bad("rows of {} elements are not whole blocks of {} ({})", tensor.dims[0],
               size->block_elements, size->name);
  }
  const auto n_bytes = bytes_of(*size, tensor.n_elements);
  if (!n_bytes) return bad("its size in bytes overflows");
  tensor.size_bytes = *n_bytes;
  return {};
}

Result<TensorInfo> read_tensor(ByteCursor& cursor) {
  TensorInfo tensor;
  LLMRUN_ASSIGN(tensor.name, read_name(cursor, kMaxNameBytes, "the name of a tensor"));
  auto read = read_shape(cursor, tensor);
  if (read) read = read_type_and_offset(cursor, tensor);
  if (read) return tensor;
  return with_context(std::move(read).error(), fmt::format("tensor '{}'", tensor.name));
}

// Turns offsets from the start of the data into offsets in the file, and sets the views.
Result<void> place_tensor(TensorInfo& tensor, uint64_t data_start, uint64_t alignment,
                          std::span<const std::byte> bytes) {
  if (tensor.offset % alignment != 0) {
    return bad("tensor '{}' begins at {} of the data, which is no multiple of the alignment {}",
               tensor.name, tensor.offset, alignment);
  }
  const auto begin = checked_add(data_start, tensor.offset);
  const auto end = begin ? checked_add(*begin, tensor.size_bytes) : std::nullopt;
  if (!end || *end > bytes.size()) {
    return bad(
        "tensor '{}' ({} bytes at {} of the data) reaches past the end of the file; the "
        "file is incomplete, download or copy it again",
        tensor.name, tensor.size_bytes, tensor.offset);
  }
  tensor.offset = *begin;
  tensor.bytes = bytes.subspan(*begin, tensor.size_bytes);
  return {};
}

Result<void> check_overlaps(const std::vector<TensorInfo>& tensors) {
  std::vector<const TensorInfo*> by_offset;
  by_offset.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) by_offset.push_back(&tensor);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const TensorInfo& before = *by_offset[i - 1];
    if (before.offset + before.size_bytes <= by_offset[i]->offset) continue;
    auto error = bad("tensors '{}' and '{}' overlap", before.name, by_offset[i]->name);
    return at_byte(std::move(error).value(), by_offset[i]->offset);
  }
  return {};
}

// The list alone; `entry_offsets` gets where each entry stands, for the errors of the next pass.
Result<void> read_tensor_list(ByteCursor& cursor, uint64_t n_tensors, Part& part,
                              std::vector<uint64_t>& entry_offsets) {
  part.tensors.reserve(n_tensors);
  entry_offsets.reserve(n_tensors);
  for (uint64_t i = 0; i < n_tensors; ++i) {
    entry_offsets.push_back(cursor.offset());
    auto tensor = read_tensor(cursor);
    if (!tensor) return at_byte(std::move(tensor).error(), entry_offsets.back());
    part.tensors.push_back(*tensor);
  }
  return {};
}

Result<void> place_tensors(uint64_t list_end, std::span<const std::byte> bytes,
                           const std::vector<uint64_t>& entry_offsets, Part& part) {
  if (part.tensors.empty()) return {};
  const auto data_start = checked_align_up(list_end, part.alignment);
  if (!data_start) return bad("the data begins past the end of the file");
  for (size_t i = 0; i < part.tensors.size(); ++i) {
    auto placed = place_tensor(part.tensors[i], *data_start, part.alignment, bytes);
    if (!placed) return at_byte(std::move(placed).error(), entry_offsets[i]);
  }
  return check_overlaps(part.tensors);
}

// Header, metadata and the list of tensors, which are not placed yet.
Result<void> read_directory(ByteCursor& cursor, std::span<const std::byte> bytes, Part& part,
                            std::vector<uint64_t>& entry_offsets) {
  auto header = read_header(cursor, bytes);
  if (!header) return at_byte(std::move(header).error(), cursor.offset());
  part.version = header->version;
  LLMRUN_TRY(read_metadata(cursor, header->n_keys, part.metadata));
  LLMRUN_ASSIGN(part.alignment, read_alignment(part.metadata));
  return read_tensor_list(cursor, header->n_tensors, part, entry_offsets);
}

Result<Part> read_part(std::span<const std::byte> bytes) {
  ByteCursor cursor(bytes);
  Part part;
  std::vector<uint64_t> entry_offsets;
  LLMRUN_TRY(read_directory(cursor, bytes, part, entry_offsets));
  LLMRUN_TRY(place_tensors(cursor.offset(), bytes, entry_offsets, part));
  return part;
}

// A part says which one it is ("split.no", from 0) and how many there are.
Result<void> check_part_number(const Metadata& metadata, uint32_t part, uint32_t count) {
  LLMRUN_ASSIGN(const auto number, metadata.get<uint32_t>("split.no"));
  LLMRUN_ASSIGN(const auto said_count, metadata.get<uint32_t>("split.count"));
  if (number == part && said_count == count) return {};
  return bad(
      "by its name the file is part {} of {}, by its metadata part {} of {}; give the "
      "files of the model back the names they came with",
      part + 1, count, uint64_t{number} + 1, said_count);
}

}  // namespace

Result<std::optional<uint64_t>> find_directory_end(std::span<const std::byte> first_bytes,
                                                   uint64_t file_size) {
  if (file_size < first_bytes.size()) {
    return bad("{} bytes of a file that has {}", first_bytes.size(), file_size);
  }
  ByteCursor cursor(first_bytes, file_size);
  Part part;
  std::vector<uint64_t> entry_offsets;
  auto read = read_directory(cursor, first_bytes, part, entry_offsets);
  if (read) return cursor.offset();
  if (cursor.is_starved()) return std::nullopt;
  return tl::unexpected<Error>(std::move(read).error());
}

Result<File> File::open(const std::string& path, const OpenOptions& options) {
  File file;
  file.path_ = path;
  LLMRUN_TRY(file.open_parts(path, options));
  return file;
}

Result<File> File::from_bytes(std::span<const std::byte> bytes) {
  File file;
  LLMRUN_TRY(file.add_part(bytes, 0, 1));
  return file;
}

Result<void> File::open_parts(const std::string& path, const OpenOptions& options) {
  const auto split = options.find_parts ? parse_split_name(path) : std::nullopt;
  const uint32_t count = split ? split->count : 1;
  if (count > kMaxParts) return bad("{} parts; at most {} are allowed", count, kMaxParts);
  mappings_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const std::string part_path = count == 1 ? path : split_path(*split, i + 1);
    auto mapped = MappedFile::open(part_path);
    if (!mapped) {
      if (count > 1) {
        mapped.error().message += fmt::format(" (part {} of {} of the model)", i + 1, count);
      }
      return tl::unexpected<Error>(std::move(mapped).error());
    }
    mappings_.push_back(*std::move(mapped));
    auto added = add_part(mappings_.back().bytes(), i, count);
    if (!added) return with_context(std::move(added).error(), part_path);
  }
  if (count == 1) return check_single(options);
  LLMRUN_ASSIGN(const auto n_tensors,
                metadata_.get_or<uint64_t>("split.tensors.count", tensors_.size()));
  if (n_tensors == tensors_.size()) return {};
  return with_context(Error{ErrorCode::kBadModel,
                            fmt::format("the {} parts hold {} tensors, not {} as the first says; "
                                        "they do not belong together",
                                        count, tensors_.size(), n_tensors),
                            ""},
                      path);
}

// A part of a split model under a name that does not tell the others'.
Result<void> File::check_single(const OpenOptions& options) const {
  if (!options.find_parts) return {};
  LLMRUN_ASSIGN(const auto count, metadata_.get_or<uint32_t>("split.count", 1));
  if (count <= 1) return {};
  return with_context(Error{ErrorCode::kBadModel,
                            fmt::format("the file is one of {} parts of a model, but is not named "
                                        "NAME-00001-of-{:05}.gguf, so the others cannot be found",
                                        count, count),
                            ""},
                      path_);
}

Result<void> File::add_part(std::span<const std::byte> bytes, uint32_t number, uint32_t count) {
  LLMRUN_ASSIGN(Part part, read_part(bytes));
  if (count > 1) LLMRUN_TRY(check_part_number(part.metadata, number, count));
  index_.reserve(tensors_.size() + part.tensors.size());
  for (TensorInfo& tensor : part.tensors) {
    tensor.part = number;
    if (!index_.emplace(tensor.name, tensors_.size()).second) {
      return bad("tensor '{}' stands twice in the model", tensor.name);
    }
    tensor_bytes_ += tensor.size_bytes;  // parts of real bytes: cannot overflow
    n_elements_ += tensor.n_elements;
    tensors_.push_back(tensor);
  }
  if (tensors_.size() > kMaxTensors) return bad("more than {} tensors", kMaxTensors);
  size_bytes_ += bytes.size();
  n_parts_ = number + 1;
  if (number == 0) {
    version_ = part.version;
    alignment_ = part.alignment;
    metadata_ = std::move(part.metadata);
  }
  return {};
}

const TensorInfo* File::find_tensor(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

Result<const TensorInfo*> File::tensor(std::string_view name) const {
  if (const TensorInfo* found = find_tensor(name)) return found;
  return with_context(
      Error{ErrorCode::kNotFound,
            fmt::format("the model has no tensor '{}'; 'llmrun show --tensors' lists them", name),
            ""},
      path_);
}

}  // namespace llmrun::gguf
