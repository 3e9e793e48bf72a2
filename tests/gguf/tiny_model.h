// A GGUF file of a few hundred bytes with a bit of everything, for tests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "gguf/reader.h"
#include "gguf/writer.h"

namespace llmrun::gguf::test {

// Raw bytes of a file put together by hand: what the Writer would refuse to write.
class Bytes {
 public:
  template <typename T>
  Bytes& number(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
    return *this;
  }
  Bytes& raw(std::string_view text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), data, data + text.size());
    return *this;
  }
  Bytes& text(std::string_view text) { return number<uint64_t>(text.size()).raw(text); }
  Bytes& header(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
    return raw("GGUF").number(version).number(n_tensors).number(n_keys);
  }
  Bytes& key(std::string_view name, ValueType type) {
    return text(name).number(static_cast<uint32_t>(type));
  }
  Bytes& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type,
                uint64_t offset) {
    text(name).number(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) number(dim);
    return number(type).number(offset);
  }
  Bytes& pad_to(size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_.push_back(std::byte{0});
    return *this;
  }
  Bytes& zeros(size_t n) {
    bytes_.resize(bytes_.size() + n);
    return *this;
  }
  [[nodiscard]] const std::vector<std::byte>& get() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

inline constexpr uint32_t kF32 = 0;
inline constexpr uint32_t kQ4_0 = 2;
inline constexpr uint32_t kQ4_K = 12;

// Every value type, arrays of numbers, strings and arrays, three tensors of two types.
inline Writer tiny_writer(uint64_t alignment = 32) {
  static constexpr std::array<float, 8> kNorm = {1, 2, 3, 4, 5, 6, 7, 8};
  static constexpr std::array<std::byte, 2 * 18> kBlocks = {std::byte{7}, std::byte{9}};
  Writer writer(alignment);
  writer.add_metadata("general.architecture", "tiny");
  writer.add_metadata("t.u8", uint8_t{200});
  writer.add_metadata("t.i8", int8_t{-100});
  writer.add_metadata("t.u16", uint16_t{60'000});
  writer.add_metadata("t.i16", int16_t{-30'000});
  writer.add_metadata("t.u32", uint32_t{4'000'000'000});
  writer.add_metadata("t.i32", int32_t{-2'000'000'000});
  writer.add_metadata("t.u64", uint64_t{18'000'000'000'000'000'000ULL});
  writer.add_metadata("t.i64", int64_t{-9'000'000'000'000'000'000LL});
  writer.add_metadata("t.f32", 0.5F);
  writer.add_metadata("t.f64", 1e300);
  writer.add_metadata("t.bool", true);
  writer.add_array("t.numbers", std::vector<int32_t>{3, -4, 5});
  writer.add_array("t.tokens", std::vector<std::string_view>{"a", "", "bc"});
  writer.add_metadata("t.flags", ArrayBuilder(ValueType::kBool).add(true).add(false));
  writer.add_metadata(
      "t.nested",
      ArrayBuilder(ValueType::kArray)
          .add(ArrayBuilder(ValueType::kString).add("x").add("yz"))
          .add(ArrayBuilder(ValueType::kArray)
                   .add(ArrayBuilder(ValueType::kUint16).add(uint16_t{1}).add(uint16_t{2}))));
  const std::array<uint64_t, 1> norm_dims = {8};
  const std::array<uint64_t, 2> matrix_dims = {32, 2};
  const std::array<uint64_t, 2> small_dims = {2, 4};
  writer.add_tensor("norm", kF32, norm_dims, std::as_bytes(std::span(kNorm)));
  writer.add_tensor("matrix", kQ4_0, matrix_dims, kBlocks);
  writer.add_tensor("small", kF32, small_dims, std::as_bytes(std::span(kNorm)));
  return writer;
}

}  // namespace llmrun::gguf::test
