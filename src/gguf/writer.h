// Builds GGUF files, version 3: metadata in the order it is added, then the tensors. Mistakes (a
// key twice, wrong sizes) are remembered and told by write() or to_bytes().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "gguf/value.h"
#include "llmrun/error.h"

namespace llmrun::gguf {

// The elements of an array, nested ones included.
class ArrayBuilder {
 public:
  explicit ArrayBuilder(ValueType element_type) : element_type_(element_type) {}

  // An element of exactly the builder's type: bool, a fixed-width integer, float or double.
  template <typename T>
  ArrayBuilder& add(T number);
  ArrayBuilder& add(std::string_view text);
  ArrayBuilder& add(const char* text) { return add(std::string_view(text)); }
  ArrayBuilder& add(const ArrayBuilder& array);

 private:
  friend class Writer;
  void append_to(std::vector<std::byte>& bytes) const;

  ValueType element_type_;
  uint64_t size_ = 0;
  bool mixed_ = false;  // an element of another type was added
  std::vector<std::byte> bytes_;
};

class Writer {
 public:
  // Takes the next bytes of a tensor.
  using Sink = std::function<Result<void>(std::span<const std::byte>)>;
  // Gives a tensor's bytes to the sink, in pieces of any size; for tensors made while writing.
  using Source = std::function<Result<void>(const Sink&)>;

  // `alignment` of the tensor data: a multiple of 8. Other than 32, it is written as
  // general.alignment.
  explicit Writer(uint64_t alignment = 32);

  // T is stored as it is: bool, int8_t to uint64_t, float, double.
  template <typename T>
  void add_metadata(std::string_view key, T number);
  void add_metadata(std::string_view key, std::string_view text);
  void add_metadata(std::string_view key, const char* text) {
    add_metadata(key, std::string_view(text));
  }
  void add_metadata(std::string_view key, const std::string& text) {
    add_metadata(key, std::string_view(text));
  }
  void add_metadata(std::string_view key, const ArrayBuilder& array);
  // As it stands in another file.
  void add_metadata(std::string_view key, const Value& value);
  template <typename T>
  void add_array(std::string_view key, std::span<const T> numbers);
  template <typename T>
  void add_array(std::string_view key, const std::vector<T>& elements) {
    add_array(key, std::span<const T>(elements));
  }
  void add_array(std::string_view key, std::span<const std::string_view> texts);
  void add_array(std::string_view key, std::span<const std::string> texts);

  // dims[0] is the row length; no dimensions make a scalar. `data` must live until the file is
  // written.
  void add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> dims,
                  std::span<const std::byte> data);
  void add_tensor(std::string_view name, uint32_t type, std::span<const uint64_t> dims,
                  Source source);

  // The file appears complete or not at all.
  [[nodiscard]] Result<void> write(const std::string& path) const;
  [[nodiscard]] Result<std::vector<std::byte>> to_bytes() const;

 private:
  struct Tensor {
    std::string name;
    uint64_t offset;  // from the start of the data
    uint64_t size_bytes;
    Source source;
  };

  bool begin_key(std::string_view key, ValueType type);
  void fail(std::string message);
  [[nodiscard]] Result<std::vector<std::byte>> head() const;
  [[nodiscard]] Result<void> emit(const Sink& sink) const;
  [[nodiscard]] Result<void> emit_tensor(const Tensor& tensor, const Sink& sink) const;

  uint64_t alignment_;
  std::vector<std::byte> metadata_;     // key-value pairs as in the file
  std::vector<std::byte> tensor_list_;  // tensor entries as in the file
  std::vector<Tensor> tensors_;
  uint64_t n_keys_ = 0;
  uint64_t data_bytes_ = 0;                // of the tensors so far, padded
  std::unordered_set<std::string> names_;  // "k" + key, "t" + tensor name
  std::optional<Error> error_;             // the first mistake
};

}  // namespace llmrun::gguf
