// NumPy's .npy files (format 1.0 to 3.0, C order): float32, int32 and uint8.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file_io.h"
#include "llmrun/error.h"

namespace llmrun {

enum class NpyType : uint8_t { kFloat32, kInt32, kUint8 };

template <typename T>
inline constexpr NpyType kNpyTypeOf = NpyType::kUint8;
template <>
inline constexpr NpyType kNpyTypeOf<float> = NpyType::kFloat32;
template <>
inline constexpr NpyType kNpyTypeOf<int32_t> = NpyType::kInt32;

struct NpyArray {
  NpyType type = NpyType::kFloat32;
  std::vector<uint64_t> shape;   // slowest dimension first
  std::vector<std::byte> bytes;  // as many as shape and type say

  // The elements; empty when the array holds another type.
  template <typename T>
  [[nodiscard]] std::span<const T> as() const {
    if (kNpyTypeOf<T> != type) return {};
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

Result<NpyArray> read_npy(const std::string& path, uint64_t max_bytes = uint64_t{4} << 30);
Result<NpyArray> parse_npy(std::span<const std::byte> file);

// Writes an array piece by piece; the file appears at commit(), when all elements are there.
class NpyWriter {
 public:
  static Result<NpyWriter> create(const std::string& path, NpyType type,
                                  std::span<const uint64_t> shape);
  template <typename T>
  Result<void> write(std::span<const T> elements) {
    return write_bytes(kNpyTypeOf<T>, std::as_bytes(elements));
  }
  Result<void> commit();

 private:
  NpyWriter(AtomicFile file, NpyType type, uint64_t missing)
      : file_(std::move(file)), type_(type), missing_bytes_(missing) {}
  Result<void> write_bytes(NpyType type, std::span<const std::byte> bytes);

  AtomicFile file_;
  NpyType type_;
  uint64_t missing_bytes_;
};

template <typename T>
Result<void> write_npy(const std::string& path, std::span<const uint64_t> shape,
                       std::span<const T> elements) {
  LLMRUN_ASSIGN(NpyWriter writer, NpyWriter::create(path, kNpyTypeOf<T>, shape));
  LLMRUN_TRY(writer.write(elements));
  return writer.commit();
}

}  // namespace llmrun
