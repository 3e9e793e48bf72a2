// Reads the .npy files of tests/data: little-endian, C order, one element type.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "paths.h"

namespace llmrun::quant {

// The elements of a .npy file, shape ignored; empty when the file is missing or not of version 1.
template <typename T>
std::vector<T> read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.size() < 10 || bytes.compare(0, 7, "\x93NUMPY\x01") != 0) return {};
  const size_t header =
      10U + static_cast<uint8_t>(bytes[8]) + 256U * static_cast<uint8_t>(bytes[9]);
  if (header > bytes.size() || (bytes.size() - header) % sizeof(T) != 0) return {};
  std::vector<T> result((bytes.size() - header) / sizeof(T));
  if (!result.empty()) std::memcpy(result.data(), bytes.data() + header, bytes.size() - header);
  return result;
}

inline std::string quant_data(const std::string& file) {
  return std::string(tests::kSourceDir) + "/tests/data/quants/" + file;
}

}  // namespace llmrun::quant
