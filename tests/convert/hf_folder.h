// Writes Hugging Face folders by hand, right and wrong ones.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmrun::convert::test {

// A .safetensors file with this header and these bytes of data.
inline std::string safetensors_file(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  return file.append(header).append(data);
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Collects F32 tensors, all with the values 0, 1, 2, … divided by 64.
class Weights {
 public:
  void add(const std::string& name, const std::vector<int64_t>& shape) {
    const int64_t n = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    const size_t begin = data_.size();
    for (int64_t i = 0; i < n; ++i) {
      const float value = static_cast<float>(i) / 64.0F;
      data_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    header_ +=
        fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                    header_.empty() ? "" : ",", name, fmt::join(shape, ","), begin, data_.size());
  }
  [[nodiscard]] std::string file() const { return safetensors_file("{" + header_ + "}", data_); }

 private:
  std::string header_;
  std::string data_;
};

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace llmrun::convert::test
