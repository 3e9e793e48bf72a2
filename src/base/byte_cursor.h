// Walks over bytes from outside, little-endian, without ever leaving them: a read that does not
// fit gives nothing and moves nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace llmrun {

static_assert(std::endian::native == std::endian::little,
              "numbers in model files are read as they lie in memory");

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] uint64_t offset() const { return offset_; }
  [[nodiscard]] uint64_t remaining() const { return bytes_.size() - offset_; }
  [[nodiscard]] bool at_end() const { return remaining() == 0; }

  // A number; the bytes need no alignment.
  template <typename T>
  std::optional<T> read() {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  // The next n_bytes as a view into the same memory.
  std::optional<std::span<const std::byte>> take(uint64_t n_bytes) {
    if (remaining() < n_bytes) return std::nullopt;
    const auto view = bytes_.subspan(offset_, n_bytes);
    offset_ += n_bytes;
    return view;
  }

  std::optional<std::string_view> take_text(uint64_t n_bytes) {
    const auto view = take(n_bytes);
    if (!view) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(view->data()), view->size());
  }

  bool skip(uint64_t n_bytes) {
    if (remaining() < n_bytes) return false;
    offset_ += n_bytes;
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t offset_ = 0;  // <= bytes_.size()
};

}  // namespace llmrun
