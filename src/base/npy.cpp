// The header of a .npy file is a Python dictionary in a fixed style; parsed by hand, strictly.
#include "base/npy.h"

#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/byte_cursor.h"
#include "base/checked_math.h"

namespace llmrun {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint32_t kMaxHeaderBytes = 64 * 1024;
constexpr size_t kMaxDimensions = 32;

struct TypeName {
  NpyType type;
  std::string_view name;
  uint64_t size;
};
constexpr std::array<TypeName, 3> kTypes = {
    {{NpyType::kFloat32, "<f4", 4}, {NpyType::kInt32, "<i4", 4}, {NpyType::kUint8, "|u1", 1}}};

const TypeName& name_of(NpyType type) {
  for (const TypeName& entry : kTypes) {
    if (entry.type == type) return entry;
  }
  return kTypes[0];
}

std::optional<uint64_t> byte_size(NpyType type, std::span<const uint64_t> shape) {
  std::optional<uint64_t> n = name_of(type).size;
  for (const uint64_t dimension : shape) n = n ? checked_mul(*n, dimension) : n;
  return n;
}

tl::unexpected<Error> bad_npy(std::string_view what) {
  return make_error(ErrorCode::kIo, "not a .npy file that can be read here: {}", what);
}

// What follows `'key':` in the header, without leading spaces.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key) {
  const size_t found = header.find(fmt::format("'{}'", key));
  if (found == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(found + key.size() + 2);
  const auto skip_spaces = [&] {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  };
  skip_spaces();
  if (rest.empty() || rest.front() != ':') return std::nullopt;
  rest.remove_prefix(1);
  skip_spaces();
  return rest;
}

std::optional<std::vector<uint64_t>> parse_shape(std::string_view text) {
  if (text.empty() || text.front() != '(') return std::nullopt;
  text.remove_prefix(1);
  std::vector<uint64_t> shape;
  bool expects_number = true;
  while (!text.empty() && text.front() != ')') {
    const char c = text.front();
    if (c == ' ' || (c == ',' && !expects_number)) {
      expects_number = expects_number || c == ',';
      text.remove_prefix(1);
      continue;
    }
    if (c < '0' || c > '9' || !expects_number || shape.size() == kMaxDimensions) {
      return std::nullopt;
    }
    uint64_t number = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
      const auto scaled = checked_mul(number, 10);
      const auto next =
          scaled ? checked_add(*scaled, static_cast<uint64_t>(text.front() - '0')) : std::nullopt;
      if (!next) return std::nullopt;
      number = *next;
    }
    shape.push_back(number);
    expects_number = false;
  }
  if (text.empty()) return std::nullopt;
  return shape;
}

Result<NpyArray> parse_header(std::string_view header) {
  const auto order = value_of(header, "fortran_order");
  const auto descriptor = value_of(header, "descr");
  const auto shape_text = value_of(header, "shape");
  if (!order || !descriptor || !shape_text) return bad_npy("its header lacks a key");
  if (!order->starts_with("False"))
    return bad_npy("Fortran order; save it with np.ascontiguousarray");
  NpyArray array;
  bool known = false;
  for (const TypeName& entry : kTypes) {
    if (!descriptor->starts_with(fmt::format("'{}'", entry.name))) continue;
    array.type = entry.type;
    known = true;
  }
  if (!known) return bad_npy("its type is not float32, int32 or uint8; convert it with astype()");
  auto shape = parse_shape(*shape_text);
  if (!shape) return bad_npy("its shape is malformed");
  array.shape = *std::move(shape);
  return array;
}

std::string header_of(NpyType type, std::span<const uint64_t> shape) {
  std::string dimensions;
  for (const uint64_t dimension : shape) dimensions += fmt::format("{}, ", dimension);
  // A tuple of one keeps its comma, longer ones lose the last.
  if (shape.size() == 1) dimensions.pop_back();
  if (shape.size() > 1) dimensions.resize(dimensions.size() - 2);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   name_of(type).name, dimensions);
  constexpr size_t kPreamble = 10;  // magic, version, length; the data begins at a multiple of 64
  header.append(63 - (kPreamble + header.size()) % 64, ' ');
  header.push_back('\n');
  return header;
}

}  // namespace

Result<NpyArray> parse_npy(std::span<const std::byte> file) {
  ByteCursor cursor(file);
  const auto magic = cursor.take_text(kMagic.size());
  if (!magic || *magic != kMagic) return bad_npy("it does not begin with \\x93NUMPY");
  const auto major = cursor.read<uint8_t>();
  const auto minor = cursor.read<uint8_t>();
  if (!major || !minor || *major < 1 || *major > 3) return bad_npy("unknown format version");
  std::optional<uint32_t> length;
  if (*major == 1) {
    if (const auto short_length = cursor.read<uint16_t>()) length = *short_length;
  } else {
    length = cursor.read<uint32_t>();
  }
  if (!length || *length > kMaxHeaderBytes) return bad_npy("its header is too long or cut off");
  const auto header = cursor.take_text(*length);
  if (!header) return bad_npy("its header is cut off");
  LLMRUN_ASSIGN(NpyArray array, parse_header(*header));
  const auto n_bytes = byte_size(array.type, array.shape);
  if (!n_bytes || *n_bytes != cursor.remaining()) {
    return bad_npy("its length does not agree with its shape");
  }
  const auto data = cursor.take(*n_bytes);
  array.bytes.assign(data->begin(), data->end());
  return array;
}

Result<NpyArray> read_npy(const std::string& path, uint64_t max_bytes) {
  LLMRUN_ASSIGN(const std::string file, read_file(path, max_bytes));
  auto array = parse_npy(std::as_bytes(std::span(file)));
  if (!array) return with_context(std::move(array).error(), path);
  return array;
}

Result<NpyWriter> NpyWriter::create(const std::string& path, NpyType type,
                                    std::span<const uint64_t> shape) {
  const auto n_bytes = byte_size(type, shape);
  if (!n_bytes || shape.size() > kMaxDimensions) {
    return make_error(ErrorCode::kInternal, "no array of this shape can be written to '{}'", path);
  }
  LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  const std::string header = header_of(type, shape);
  const auto length = static_cast<uint16_t>(header.size());  // 32 dimensions are below 1 KB
  const std::array<char, 4> preamble = {1, 0, static_cast<char>(length & 0xFF),
                                        static_cast<char>(length >> 8)};
  LLMRUN_TRY(file.write(kMagic));
  LLMRUN_TRY(file.write(std::string_view(preamble.data(), preamble.size())));
  LLMRUN_TRY(file.write(header));
  return NpyWriter(std::move(file), type, *n_bytes);
}

Result<void> NpyWriter::write_bytes(NpyType type, std::span<const std::byte> bytes) {
  if (type != type_ || bytes.size() > missing_bytes_) {
    return make_error(ErrorCode::kInternal, "elements do not fit the array in '{}'", file_.path());
  }
  missing_bytes_ -= bytes.size();
  return file_.write(bytes);
}

Result<void> NpyWriter::commit() {
  if (missing_bytes_ != 0) {
    return make_error(ErrorCode::kInternal, "{} bytes of the array in '{}' were never written",
                      missing_bytes_, file_.path());
  }
  return file_.commit();
}

}  // namespace llmrun
