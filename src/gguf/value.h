// One metadata value, as a view of the bytes in the file: nothing is copied until it is asked for,
// so that a vocabulary of 262,144 strings costs nothing to open. Values were checked when the file
// was opened; they live as long as the bytes do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_cursor.h"
#include "llmrun/error.h"

namespace llmrun::gguf {

// The numbers are those of the format.
enum class ValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};
inline constexpr uint32_t kNumValueTypes = 13;

std::string_view to_string(ValueType type);
// Bytes of a number; 0 for strings and arrays, whose size varies.
uint64_t fixed_size(ValueType type);

class Value {
 public:
  // Reads and checks the value at the cursor: sizes, nesting, limits, booleans. The error tells
  // what is wrong; the cursor then stands where it is wrong.
  static Result<Value> scan(ByteCursor& cursor, ValueType type);

  [[nodiscard]] ValueType type() const { return type_; }
  [[nodiscard]] bool is_array() const { return type_ == ValueType::kArray; }
  // Of an array; the type itself otherwise.
  [[nodiscard]] ValueType element_type() const { return element_type_; }
  // Elements of an array; 1 otherwise.
  [[nodiscard]] uint64_t size() const { return size_; }
  // The number, the text, or the elements one after the other as they lie in the file.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  // T is bool, an integer of 8 to 64 bits, float, double, std::string_view or std::string.
  // Integers convert to each other when the value fits, floating point to floating point; nothing
  // else converts. Otherwise kBadModel, naming the type wanted and the one found.
  template <typename T>
  [[nodiscard]] Result<T> as() const;
  // The elements, each converted as above.
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> as_array() const;
  // The elements of an array of arrays, as views.
  [[nodiscard]] Result<std::vector<Value>> elements() const;

  // "an array of 12 strings", "a 32-bit unsigned integer".
  [[nodiscard]] std::string describe() const;
  // For people: text in quotes, at most `max_elements` of an array and `max_text` bytes of a text.
  [[nodiscard]] std::string to_display(size_t max_elements = 6, size_t max_text = 60) const;

 private:
  static Result<Value> scan_nested(ByteCursor& cursor, ValueType type, uint32_t depth);
  static Result<void> scan_elements(ByteCursor& cursor, ValueType type, uint64_t n, uint32_t depth);
  static Value trusted(ByteCursor& cursor, ValueType type);

  ValueType type_ = ValueType::kUint8;
  ValueType element_type_ = ValueType::kUint8;
  uint64_t size_ = 1;
  std::span<const std::byte> bytes_;
};

}  // namespace llmrun::gguf
