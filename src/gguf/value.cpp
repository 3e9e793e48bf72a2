// Checks values while the file is opened, and converts them when they are asked for.
#include "gguf/value.h"

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/utf8.h"
#include "gguf/limits.h"

namespace llmrun::gguf {
namespace {

struct TypeFacts {
  std::string_view name;      // as in gguf tools
  std::string_view singular;  // in errors
  std::string_view plural;
  uint64_t size;  // bytes; 0: varies
};

constexpr std::array<TypeFacts, kNumValueTypes> kFacts = {{
    {"u8", "an unsigned 8-bit integer", "unsigned 8-bit integers", 1},
    {"i8", "a signed 8-bit integer", "signed 8-bit integers", 1},
    {"u16", "an unsigned 16-bit integer", "unsigned 16-bit integers", 2},
    {"i16", "a signed 16-bit integer", "signed 16-bit integers", 2},
    {"u32", "an unsigned 32-bit integer", "unsigned 32-bit integers", 4},
    {"i32", "a signed 32-bit integer", "signed 32-bit integers", 4},
    {"f32", "a 32-bit float", "32-bit floats", 4},
    {"bool", "a boolean", "booleans", 1},
    {"string", "a string", "strings", 0},
    {"array", "an array", "arrays", 0},
    {"u64", "an unsigned 64-bit integer", "unsigned 64-bit integers", 8},
    {"i64", "a signed 64-bit integer", "signed 64-bit integers", 8},
    {"f64", "a 64-bit float", "64-bit floats", 8},
}};

const TypeFacts& facts(ValueType type) { return kFacts[static_cast<size_t>(type)]; }

// Smallest number of bytes an element can have: bounds a count before anything is walked.
uint64_t least_size(ValueType type) {
  if (type == ValueType::kString) return 8;  // its length
  if (type == ValueType::kArray) return 12;  // element type and count
  return fixed_size(type);
}

tl::unexpected<Error> bad(std::string message) {
  return tl::unexpected<Error>(Error{ErrorCode::kBadModel, std::move(message), ""});
}

tl::unexpected<Error> cut_off(std::string_view what) {
  return make_error(ErrorCode::kBadModel,
                    "the file ends inside {}; it is incomplete, download or copy it again", what);
}

Result<std::string_view> scan_string(ByteCursor& cursor) {
  const auto length = cursor.read<uint64_t>();
  if (!length) return cut_off("a string");
  if (*length > kMaxStringBytes) {
    return make_error(ErrorCode::kBadModel, "a string of {} bytes; at most {} are allowed", *length,
                      kMaxStringBytes);
  }
  const auto text = cursor.take_text(*length);
  if (!text) return cut_off("a string");
  return *text;
}

template <typename T>
T load(std::span<const std::byte> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// A number of any type in the widest type of its kind.
struct Number {
  enum class Kind : uint8_t { kNone, kBool, kUnsigned, kSigned, kFloat } kind = Kind::kNone;
  uint64_t u = 0;  // kBool, kUnsigned
  int64_t i = 0;
  double f = 0.0;
};

Number from_unsigned(uint64_t u) { return {Number::Kind::kUnsigned, u, 0, 0.0}; }
Number from_signed(int64_t i) { return {Number::Kind::kSigned, 0, i, 0.0}; }
Number from_float(double f) { return {Number::Kind::kFloat, 0, 0, f}; }

Number number_of(ValueType type, std::span<const std::byte> bytes) {
  switch (type) {
    case ValueType::kUint8:
      return from_unsigned(load<uint8_t>(bytes));
    case ValueType::kInt8:
      return from_signed(load<int8_t>(bytes));
    case ValueType::kUint16:
      return from_unsigned(load<uint16_t>(bytes));
    case ValueType::kInt16:
      return from_signed(load<int16_t>(bytes));
    case ValueType::kUint32:
      return from_unsigned(load<uint32_t>(bytes));
    case ValueType::kInt32:
      return from_signed(load<int32_t>(bytes));
    case ValueType::kUint64:
      return from_unsigned(load<uint64_t>(bytes));
    case ValueType::kInt64:
      return from_signed(load<int64_t>(bytes));
    case ValueType::kFloat32:
      return from_float(static_cast<double>(load<float>(bytes)));
    case ValueType::kFloat64:
      return from_float(load<double>(bytes));
    case ValueType::kBool:
      return {Number::Kind::kBool, load<uint8_t>(bytes), 0, 0.0};
    case ValueType::kString:
    case ValueType::kArray:
      break;
  }
  return {};
}

template <typename T>
std::string_view wanted_name() {
  if constexpr (std::is_same_v<T, bool>) return "a boolean";
  if constexpr (std::is_floating_point_v<T>) return "a floating-point number";
  if constexpr (std::is_unsigned_v<T>) return "a non-negative integer";
  if constexpr (std::is_integral_v<T>) return "an integer";
  return "a string";
}

template <typename T>
std::optional<T> to_integer(const Number& number) {
  if (number.kind == Number::Kind::kUnsigned && std::in_range<T>(number.u)) {
    return static_cast<T>(number.u);
  }
  if (number.kind == Number::Kind::kSigned && std::in_range<T>(number.i)) {
    return static_cast<T>(number.i);
  }
  return std::nullopt;
}

// A double that is finite but too large for float does not fit; rounding is fine.
template <typename T>
std::optional<T> to_float(const Number& number) {
  if (number.kind != Number::Kind::kFloat) return std::nullopt;
  if (std::isfinite(number.f) &&
      std::fabs(number.f) > static_cast<double>(std::numeric_limits<T>::max())) {
    return std::nullopt;
  }
  return static_cast<T>(number.f);
}

template <typename T>
std::optional<T> convert(ValueType type, std::span<const std::byte> bytes) {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    if (type != ValueType::kString) return std::nullopt;
    return T(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else {
    const Number number = number_of(type, bytes);
    if constexpr (std::is_same_v<T, bool>) {
      if (number.kind != Number::Kind::kBool) return std::nullopt;
      return number.u != 0;
    } else if constexpr (std::is_floating_point_v<T>) {
      return to_float<T>(number);
    } else {
      return to_integer<T>(number);
    }
  }
}

std::string display_number(const Number& number) {
  switch (number.kind) {
    case Number::Kind::kBool:
      return number.u != 0 ? "true" : "false";
    case Number::Kind::kUnsigned:
      return fmt::format("{}", number.u);
    case Number::Kind::kSigned:
      return fmt::format("{}", number.i);
    case Number::Kind::kFloat:
      return fmt::format("{:.7g}", number.f);
    case Number::Kind::kNone:
      break;
  }
  return "?";
}

// In quotes; control characters (C0, DEL and C1) escaped, so that a hostile file cannot drive the
// terminal.
std::string display_text(std::span<const std::byte> bytes, size_t max_bytes) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const bool whole = all.size() <= max_bytes;
  const std::string_view head = all.substr(0, max_bytes);
  const size_t end = whole ? head.size() : utf8::complete_prefix(head);
  std::string text = "\"";
  for (size_t i = 0; i < end;) {
    const utf8::Decoded character = utf8::decode(head, i);
    i += character.length;
    if (character.code_point == '\n') {
      text += "\\n";
    } else if (character.code_point < 0x20 ||
               (character.code_point >= 0x7F && character.code_point < 0xA0)) {
      text += fmt::format("\\x{:02x}", character.code_point);
    } else {
      utf8::append(text, character.code_point);
    }
  }
  return text + (whole ? "\"" : fmt::format("…\" ({} bytes)", all.size()));
}

}  // namespace

std::string_view to_string(ValueType type) { return facts(type).name; }

uint64_t fixed_size(ValueType type) { return facts(type).size; }

Result<Value> Value::scan(ByteCursor& cursor, ValueType type) {
  return scan_nested(cursor, type, 0);
}

Result<Value> Value::scan_nested(ByteCursor& cursor, ValueType type, uint32_t depth) {
  Value value;
  value.type_ = type;
  value.element_type_ = type;
  if (type == ValueType::kString) {
    LLMRUN_ASSIGN(const std::string_view text, scan_string(cursor));
    value.bytes_ = std::as_bytes(std::span(text));
    return value;
  }
  if (type != ValueType::kArray) {
    const auto bytes = cursor.take(fixed_size(type));
    if (!bytes) return cut_off(facts(type).singular);
    if (type == ValueType::kBool && load<uint8_t>(*bytes) > 1) {
      return bad("a boolean is neither 0 nor 1; the file is damaged");
    }
    value.bytes_ = *bytes;
    return value;
  }
  if (depth == kMaxArrayDepth) {
    return make_error(ErrorCode::kBadModel, "arrays nested more than {} deep", kMaxArrayDepth);
  }
  const auto element_type = cursor.read<uint32_t>();
  const auto n = cursor.read<uint64_t>();
  if (!element_type || !n) return cut_off("an array");
  if (*element_type >= kNumValueTypes) {
    return make_error(ErrorCode::kBadModel, "array elements of unknown type {}", *element_type);
  }
  value.element_type_ = static_cast<ValueType>(*element_type);
  value.size_ = *n;
  ByteCursor rest = cursor;  // a copy marks where the elements begin
  LLMRUN_TRY(scan_elements(cursor, value.element_type_, *n, depth + 1));
  value.bytes_ = *rest.take(cursor.offset() - rest.offset());
  return value;
}

Result<void> Value::scan_elements(ByteCursor& cursor, ValueType type, uint64_t n, uint32_t depth) {
  if (n > kMaxArrayElements) {
    return make_error(ErrorCode::kBadModel, "an array of {} elements; at most {} are allowed", n,
                      kMaxArrayElements);
  }
  if (n > cursor.remaining() / least_size(type)) return cut_off("an array");
  if (type == ValueType::kString) {
    // The hot loop of opening a file: no Result is made unless there is something to tell.
    for (uint64_t i = 0; i < n; ++i) {
      ByteCursor before = cursor;
      const auto length = cursor.read<uint64_t>();
      if (length && *length <= kMaxStringBytes && cursor.skip(*length)) continue;
      LLMRUN_TRY(scan_string(before));
    }
    return {};
  }
  if (type == ValueType::kArray || type == ValueType::kBool) {
    for (uint64_t i = 0; i < n; ++i) LLMRUN_TRY(scan_nested(cursor, type, depth));
    return {};
  }
  cursor.skip(n * fixed_size(type));  // cannot overflow nor fail: n was compared above
  return {};
}

// One element of an array that scan() has been through.
Value Value::trusted(ByteCursor& cursor, ValueType type) {
  Value value;
  value.type_ = type;
  value.element_type_ = type;
  if (type == ValueType::kArray) {
    auto scanned = scan_nested(cursor, type, 0);
    return scanned ? *scanned : value;
  }
  // Strings and numbers without a Result on the way: vocabularies have hundreds of thousands.
  const auto n_bytes = type == ValueType::kString ? cursor.read<uint64_t>() : fixed_size(type);
  if (const auto bytes = n_bytes ? cursor.take(*n_bytes) : std::nullopt) value.bytes_ = *bytes;
  return value;
}

template <typename T>
Result<T> Value::as() const {
  if (!is_array()) {
    if (const auto converted = convert<T>(type_, bytes_)) return *converted;
  }
  return make_error(ErrorCode::kBadModel, "wanted {}, found {}", wanted_name<T>(), describe());
}

template <typename T>
Result<std::vector<T>> Value::as_array() const {
  const auto fail = [&](uint64_t i, const Value& found) {
    return make_error(ErrorCode::kBadModel,
                      "wanted an array in which each element is {}; element "
                      "{} of {} is {}",
                      wanted_name<T>(), i, size_, found.describe());
  };
  if (!is_array()) {
    return make_error(ErrorCode::kBadModel, "wanted an array in which each element is {}, found {}",
                      wanted_name<T>(), describe());
  }
  std::vector<T> result;
  result.reserve(size_);
  ByteCursor cursor(bytes_);
  for (uint64_t i = 0; i < size_; ++i) {
    const Value element = trusted(cursor, element_type_);
    const auto converted = convert<T>(element.type_, element.bytes_);
    if (!converted) return fail(i, element);
    result.push_back(*converted);
  }
  return result;
}

Result<std::vector<Value>> Value::elements() const {
  if (element_type_ != ValueType::kArray || !is_array()) {
    return make_error(ErrorCode::kBadModel, "wanted an array of arrays, found {}", describe());
  }
  std::vector<Value> result;
  result.reserve(size_);
  ByteCursor cursor(bytes_);
  for (uint64_t i = 0; i < size_; ++i) result.push_back(trusted(cursor, element_type_));
  return result;
}

std::string Value::describe() const {
  if (is_array()) return fmt::format("an array of {} {}", size_, facts(element_type_).plural);
  if (type_ == ValueType::kString) return fmt::format("the string {}", to_display());
  return fmt::format("{} ({})", facts(type_).singular, to_display());
}

std::string Value::to_display(size_t max_elements, size_t max_text) const {
  if (type_ == ValueType::kString) return display_text(bytes_, max_text);
  if (!is_array()) return display_number(number_of(type_, bytes_));
  std::string text = "[";
  ByteCursor cursor(bytes_);
  for (uint64_t i = 0; i < size_ && i < max_elements; ++i) {
    if (i > 0) text += ", ";
    text += trusted(cursor, element_type_).to_display(max_elements, max_text);
  }
  if (size_ > max_elements) text += fmt::format(", … ({} in all)", size_);
  return text + "]";
}

#define LLMRUN_INSTANTIATE(T)              \
  template Result<T> Value::as<T>() const; \
  template Result<std::vector<T>> Value::as_array<T>() const;
#define LLMRUN_GGUF_NUMBER LLMRUN_INSTANTIATE
#define LLMRUN_GGUF_TEXT LLMRUN_INSTANTIATE
#include "gguf/value_types.def"
#undef LLMRUN_INSTANTIATE

}  // namespace llmrun::gguf
