// Open-addressing tables for what the tokenizer looks up: texts, and pairs of symbols. Filled once
// while a vocabulary loads, then only read. The seed differs between tables and runs, so that a
// file cannot be made whose keys all collide; results never depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace llmrun::tokenizer {

uint64_t random_seed();

inline uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t load_bytes(const char* data, size_t size) {  // size 0 to 8
  const auto byte = [&](size_t i) {
    return static_cast<uint64_t>(static_cast<unsigned char>(data[i]));
  };
  if (size >= 4) {
    uint32_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + size - 4, 4);
    return low | static_cast<uint64_t>(high) << 32;
  }
  if (size == 0) return 0;
  return byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
}

inline uint64_t hash_text(std::string_view text, uint64_t seed) {
  constexpr uint64_t kA = 0x9E3779B97F4A7C15;
  constexpr uint64_t kB = 0xE7037ED1A0B428DB;
  const char* data = text.data();
  size_t size = text.size();
  uint64_t hash = seed ^ mix(size ^ kA, kB);
  for (; size > 8; data += 8, size -= 8) hash = mix(hash ^ load_bytes(data, 8), kA);
  return mix(hash ^ load_bytes(data, size), kB);
}

// Texts, which live elsewhere, numbered by symbol.
class TextTable {
 public:
  // Room for `count` keys; `text_of(symbol)` gives the text of a symbol.
  explicit TextTable(size_t count = 0) { reserve(count); }
  void reserve(size_t count);

  template <typename TextOf>
  std::optional<uint32_t> find(std::string_view text, const TextOf& text_of) const {
    const uint64_t hash = hash_text(text, seed_);
    for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.symbol == kEmpty) return std::nullopt;
      if (slot.tag == static_cast<uint32_t>(hash >> 32) && text_of(slot.symbol) == text) {
        return slot.symbol;
      }
    }
  }

  // False, and no change, when the text is there already.
  template <typename TextOf>
  bool insert(std::string_view text, uint32_t symbol, const TextOf& text_of) {
    const uint64_t hash = hash_text(text, seed_);
    for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.symbol == kEmpty) {
        slot = {static_cast<uint32_t>(hash >> 32), symbol};
        if (++used_ * 4 > slots_.size() * 3) grow(text_of);
        return true;
      }
      if (slot.tag == static_cast<uint32_t>(hash >> 32) && text_of(slot.symbol) == text) {
        return false;
      }
    }
  }

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  struct Slot {
    uint32_t tag = 0;  // upper half of the hash
    uint32_t symbol = kEmpty;
  };

  template <typename TextOf>
  void grow(const TextOf& text_of) {
    const std::vector<Slot> old = std::move(slots_);
    reserve(old.size());
    for (const Slot& slot : old) {
      if (slot.symbol != kEmpty) insert(text_of(slot.symbol), slot.symbol, text_of);
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
  uint64_t mask_ = 0;
  uint64_t seed_ = 0;
};

// Two adjacent symbols: what they become, and how early (a lower rank goes first).
class PairTable {
 public:
  struct Merge {
    uint32_t rank;
    uint32_t symbol;
  };

  explicit PairTable(size_t count = 0) { reserve(count); }
  void reserve(size_t count);

  const Merge* find(uint32_t left, uint32_t right) const {
    for (size_t i = slot_of(left, right);; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.left == left && slot.right == right) return &slot.merge;
      if (slot.left == kEmpty) return nullptr;
    }
  }

  // The first merge of a pair counts.
  void insert(uint32_t left, uint32_t right, Merge merge);

 private:
  static constexpr uint32_t kEmpty = UINT32_MAX;
  struct Slot {
    uint32_t left = kEmpty;
    uint32_t right = kEmpty;
    Merge merge{};
  };
  size_t slot_of(uint32_t left, uint32_t right) const {
    return mix((static_cast<uint64_t>(left) << 32 | right) ^ seed_, 0x9E3779B97F4A7C15) & mask_;
  }
  std::vector<Slot> slots_;
  uint64_t mask_ = 0;
  uint64_t seed_ = 0;
};

}  // namespace llmrun::tokenizer
