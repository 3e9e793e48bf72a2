// Serialises metadata as it is added; tensor bytes go straight from their source to the file.
#include "gguf/writer.h"

#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/file_io.h"
#include "gguf/limits.h"
#include "gguf/type_sizes.h"

namespace llmrun::gguf {
namespace {

constexpr uint32_t kVersion = 3;

template <typename T>
constexpr ValueType value_type_of() {
  if constexpr (std::is_same_v<T, bool>) return ValueType::kBool;
  if constexpr (std::is_same_v<T, float>) return ValueType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return ValueType::kFloat64;
  if constexpr (std::is_same_v<T, int8_t>) return ValueType::kInt8;
  if constexpr (std::is_same_v<T, uint8_t>) return ValueType::kUint8;
  if constexpr (std::is_same_v<T, int16_t>) return ValueType::kInt16;
  if constexpr (std::is_same_v<T, uint16_t>) return ValueType::kUint16;
  if constexpr (std::is_same_v<T, int32_t>) return ValueType::kInt32;
  if constexpr (std::is_same_v<T, uint32_t>) return ValueType::kUint32;
  if constexpr (std::is_same_v<T, int64_t>) return ValueType::kInt64;
  if constexpr (std::is_same_v<T, uint64_t>) return ValueType::kUint64;
}

void append_bytes(std::vector<std::byte>& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

template <typename T>
void append_number(std::vector<std::byte>& bytes, T number) {
  static_assert(sizeof(bool) == 1);
  std::array<std::byte, sizeof(T)> raw;
  std::memcpy(raw.data(), &number, sizeof(T));
  append_bytes(bytes, raw);
}

void append_text(std::vector<std::byte>& bytes, std::string_view text) {
  append_number<uint64_t>(bytes, text.size());
  append_bytes(bytes, std::as_bytes(std::span(text)));
}

// Gives `n` zero bytes to the sink.
Result<void> pad(const Writer::Sink& sink, uint64_t n) {
  static constexpr std::array<std::byte, 256> kZeros{};
  while (n > 0) {
    const uint64_t piece = n < kZeros.size() ? n : kZeros.size();
    LLMRUN_TRY(sink(std::span(kZeros).first(piece)));
    n -= piece;
  }
  return {};
}

}  // namespace

template <typename T>
ArrayBuilder& ArrayBuilder::add(T number) {
  mixed_ = mixed_ || element_type_ != value_type_of<T>();
  append_number(bytes_, number);
  ++size_;
  return *this;
}

ArrayBuilder& ArrayBuilder::add(std::string_view text) {
  mixed_ = mixed_ || element_type_ != ValueType::kString;
  append_text(bytes_, text);
  ++size_;
  return *this;
}

ArrayBuilder& ArrayBuilder::add(const ArrayBuilder& array) {
  mixed_ = mixed_ || array.mixed_ || element_type_ != ValueType::kArray;
  array.append_to(bytes_);
  ++size_;
  return *this;
}

void ArrayBuilder::append_to(std::vector<std::byte>& bytes) const {
  append_number(bytes, static_cast<uint32_t>(element_type_));
  append_number(bytes, size_);
  append_bytes(bytes, bytes_);
}

Writer::Writer(uint64_t alignment) : alignment_(alignment) {
  if (alignment == 0 || alignment % 8 != 0 || alignment > kMaxAlignment) {
    fail(fmt::format("alignment {} is no multiple of 8", alignment));
    alignment_ = kDefaultAlignment;
  } else if (alignment != kDefaultAlignment) {
    add_metadata("general.alignment", static_cast<uint32_t>(alignment));
  }
}

void Writer::fail(std::string message) {
  if (!error_) error_ = Error{ErrorCode::kInternal, std::move(message), "writing GGUF"};
}

bool Writer::begin_key(std::string_view key, ValueType type) {
  if (key.empty() || key.size() > kMaxKeyBytes || !names_.insert("k" + std::string(key)).second) {
    fail(fmt::format("metadata key '{}' is empty, too long, or stands twice", key));
    return false;
  }
  append_text(metadata_, key);
  append_number(metadata_, static_cast<uint32_t>(type));
  ++n_keys_;
  return true;
}

template <typename T>
void Writer::add_metadata(std::string_view key, T number) {
  if (begin_key(key, value_type_of<T>())) append_number(metadata_, number);
}

void Writer::add_metadata(std::string_view key, std::string_view text) {
  if (begin_key(key, ValueType::kString)) append_text(metadata_, text);
}

void Writer::add_metadata(std::string_view key, const ArrayBuilder& array) {
  if (array.mixed_) return fail(fmt::format("metadata key '{}' mixes element types", key));
  if (begin_key(key, ValueType::kArray)) array.append_to(metadata_);
}

void Writer::add_metadata(std::string_view key, const Value& value) {
  if (!begin_key(key, value.type())) return;
  if (value.is_array()) {
    append_number(metadata_, static_cast<uint32_t>(value.element_type()));
    append_number(metadata_, value.size());
  } else if (value.type() == ValueType::kString) {
    append_number<uint64_t>(metadata_, value.bytes().size());
  }
  append_bytes(metadata_, value.bytes());
}

template <typename T>
void Writer::add_array(std::string_view key, std::span<const T> numbers) {
  ArrayBuilder array(value_type_of<T>());
  for (const T number : numbers) array.add(number);
  add_metadata(key, array);
}

void Writer::add_array(std::string_view key, std::span<const std::string_view> texts) {
  ArrayBuilder array(ValueType::kString);
  for (const std::string_view text : texts) array.add(text);
  add_metadata(key, array);
}

void Writer::add_array(std::string_view key, std::span<const std::string> texts) {
  ArrayBuilder array(ValueType::kString);
  for (const std::string& text : texts) array.add(std::string_view(text));
  add_metadata(key, array);
}

void Writer::add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> dims,
                        std::span<const std::byte> data) {
  const size_t n_tensors = tensors_.size();
  add_tensor(name, type, dims, [data](const Sink& sink) { return sink(data); });
  if (tensors_.size() > n_tensors && tensors_.back().size_bytes != data.size()) {
    fail(fmt::format("tensor '{}' of {} bytes was given {}", name, tensors_.back().size_bytes,
                     data.size()));
  }
}

void Writer::add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> dims,
                        Source source) {
  const TypeSize* size = find_type_size(type);
  std::optional<uint64_t> n_elements = 1;
  for (const uint64_t dim : dims)
    n_elements = n_elements ? checked_mul(*n_elements, dim) : n_elements;
  const auto n_bytes = size && n_elements ? bytes_of(*size, *n_elements) : std::nullopt;
  const uint64_t row = dims.empty() ? 1 : dims[0];  // no dimensions: a scalar
  const bool whole_rows = size != nullptr && row % size->block_elements == 0;
  if (!n_bytes || *n_bytes == 0 || !whole_rows || dims.size() > kMaxDimensions) {
    return fail(fmt::format("tensor '{}' has an unknown type or an impossible shape", name));
  }
  if (name.empty() || name.size() > kMaxNameBytes ||
      !names_.insert("t" + std::string(name)).second) {
    return fail(fmt::format("tensor name '{}' is empty, too long, or stands twice", name));
  }
  const auto end = checked_add(data_bytes_, *n_bytes);
  const auto padded = end ? checked_align_up(*end, alignment_) : std::nullopt;
  if (!padded) return fail("the tensors together overflow 2^64 bytes");
  append_text(tensor_list_, name);
  append_number(tensor_list_, static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) append_number(tensor_list_, dim);
  append_number(tensor_list_, type);
  append_number(tensor_list_, data_bytes_);
  tensors_.push_back({std::string(name), data_bytes_, *n_bytes, std::move(source)});
  data_bytes_ = *padded;
}

Result<std::vector<std::byte>> Writer::head() const {
  if (error_) return tl::unexpected<Error>(*error_);
  std::vector<std::byte> bytes;
  append_bytes(bytes, std::as_bytes(std::span(std::string_view("GGUF"))));
  append_number(bytes, kVersion);
  append_number<uint64_t>(bytes, tensors_.size());
  append_number(bytes, n_keys_);
  append_bytes(bytes, metadata_);
  append_bytes(bytes, tensor_list_);
  const auto padded = checked_align_up(bytes.size(), alignment_);
  if (!tensors_.empty() && padded) bytes.resize(*padded);
  return bytes;
}

Result<void> Writer::emit_tensor(const Tensor& tensor, const Sink& sink) const {
  uint64_t n_written = 0;
  const auto count_and_pass = [&](std::span<const std::byte> bytes) -> Result<void> {
    n_written += bytes.size();
    if (n_written > tensor.size_bytes) return make_error(ErrorCode::kInternal, "too many bytes");
    return sink(bytes);
  };
  auto result = tensor.source(count_and_pass);
  if (result && n_written != tensor.size_bytes) {
    result =
        make_error(ErrorCode::kInternal, "{} bytes instead of {}", n_written, tensor.size_bytes);
  }
  if (!result) {
    return with_context(std::move(result).error(), fmt::format("tensor '{}'", tensor.name));
  }
  return {};
}

Result<void> Writer::emit(const Sink& sink) const {
  LLMRUN_ASSIGN(const auto start, head());
  LLMRUN_TRY(sink(start));
  for (size_t i = 0; i < tensors_.size(); ++i) {
    LLMRUN_TRY(emit_tensor(tensors_[i], sink));
    const uint64_t next = i + 1 < tensors_.size() ? tensors_[i + 1].offset : data_bytes_;
    LLMRUN_TRY(pad(sink, next - tensors_[i].offset - tensors_[i].size_bytes));
  }
  return {};
}

Result<void> Writer::write(const std::string& path) const {
  LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  LLMRUN_TRY(emit([&](std::span<const std::byte> bytes) { return file.write(bytes); }));
  return file.commit();
}

Result<std::vector<std::byte>> Writer::to_bytes() const {
  std::vector<std::byte> file;
  LLMRUN_TRY(emit([&](std::span<const std::byte> bytes) -> Result<void> {
    append_bytes(file, bytes);
    return {};
  }));
  return file;
}

#define LLMRUN_INSTANTIATE(T)                                 \
  template ArrayBuilder& ArrayBuilder::add<T>(T);             \
  template void Writer::add_metadata<T>(std::string_view, T); \
  template void Writer::add_array<T>(std::string_view, std::span<const T>);
#define LLMRUN_GGUF_NUMBER LLMRUN_INSTANTIATE
#include "gguf/value_types.def"
#undef LLMRUN_INSTANTIATE

}  // namespace llmrun::gguf
