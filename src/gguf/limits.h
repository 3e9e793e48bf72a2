// What a GGUF file may ask for. Far above any real model (the largest have some 40,000 tensors, 100
// keys and 300,000 tokens); below what could hurt.
#pragma once

#include <cstdint>

namespace llmrun::gguf {

inline constexpr uint64_t kMaxTensors = uint64_t{1} << 18;
inline constexpr uint64_t kMaxKeys = uint64_t{1} << 16;
inline constexpr uint64_t kMaxNameBytes = 256;   // of a tensor; the format says 64
inline constexpr uint64_t kMaxKeyBytes = 65535;  // the format says so
inline constexpr uint64_t kMaxStringBytes = uint64_t{1} << 28;
inline constexpr uint64_t kMaxArrayElements = uint64_t{1} << 26;
inline constexpr uint32_t kMaxArrayDepth = 4;  // an array of scalars is 1
inline constexpr uint32_t kMaxDimensions = 4;
inline constexpr uint64_t kMaxAlignment = uint64_t{1} << 24;
inline constexpr uint32_t kMaxParts = 4096;  // files of one split model
inline constexpr uint64_t kDefaultAlignment = 32;

}  // namespace llmrun::gguf
