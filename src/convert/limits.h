// What a Hugging Face folder may ask for. Far above any real model (the largest have 90,000
// tensors, shard headers of 1 MB, a tokenizer.json of 35 MB); below what could hurt.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmrun::convert {

inline constexpr uint64_t kMaxHeaderBytes = uint64_t{1} << 25;     // of one .safetensors file
inline constexpr uint64_t kMaxIndexBytes = uint64_t{1} << 25;      // model.safetensors.index.json
inline constexpr uint64_t kMaxConfigBytes = uint64_t{1} << 23;     // config.json and its like
inline constexpr uint64_t kMaxTokenizerBytes = uint64_t{1} << 26;  // tokenizer.json
inline constexpr uint64_t kMaxTemplateBytes = uint64_t{1} << 22;   // chat_template.jinja
inline constexpr uint64_t kMaxSourceTensors = uint64_t{1} << 18;
inline constexpr size_t kMaxSourceNameBytes = 512;
inline constexpr size_t kMaxSourceDimensions = 8;
inline constexpr size_t kMaxShards = 4096;
inline constexpr int kMaxJsonDepth = 64;

inline constexpr int64_t kMaxLayers = 1 << 12;
inline constexpr int64_t kMaxHeads = 1 << 14;
inline constexpr int64_t kMaxWidth = 1 << 24;  // of a hidden state or a feed-forward
inline constexpr int64_t kMaxPositions = 1 << 30;
inline constexpr int64_t kMaxExperts = 1 << 14;
inline constexpr int64_t kMaxTokenIds = 1 << 23;  // tokens of a vocabulary
inline constexpr int64_t kMaxIdGap = 1 << 16;     // unused ids beyond those with a text
inline constexpr size_t kMaxSpecialTokens = 1 << 16;

}  // namespace llmrun::convert
