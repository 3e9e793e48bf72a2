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
  explicit ByteCursor(std::span<const std::byte> bytes) : ByteCursor(bytes, bytes.size()) {}
  // Over the first bytes of something that is `whole_size` long: counts are held against the whole,
  // and a read that would need more than the first bytes fails with is_starved() set.
  ByteCursor(std::span<const std::byte> first_bytes, uint64_t whole_size)
      : bytes_(first_bytes), whole_size_(whole_size) {}

  [[nodiscard]] uint64_t offset() const { return offset_; }
  [[nodiscard]] uint64_t remaining() const { return whole_size_ - offset_; }
  [[nodiscard]] bool at_end() const { return remaining() == 0; }
  [[nodiscard]] bool is_starved() const { return is_starved_; }

  // A number; the bytes need no alignment.
  template <typename T>
  std::optional<T> read() {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    if (!has(sizeof(T))) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  // The next n_bytes as a view into the same memory.
  std::optional<std::span<const std::byte>> take(uint64_t n_bytes) {
    if (!has(n_bytes)) return std::nullopt;
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
    if (!has(n_bytes)) return false;
    offset_ += n_bytes;
    return true;
  }

 private:
  bool has(uint64_t n_bytes) {
    if (remaining() < n_bytes) return false;
    if (bytes_.size() - offset_ >= n_bytes) return true;
    is_starved_ = true;
    return false;
  }

  std::span<const std::byte> bytes_;
  uint64_t whole_size_ = 0;  // >= bytes_.size()
  size_t offset_ = 0;        // <= bytes_.size()
  bool is_starved_ = false;
};

}  // namespace llmrun
