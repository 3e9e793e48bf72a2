// Sizes and seeds of the tables.
#include "tokenizer/hash_table.h"

#include <bit>
#include <random>

namespace llmrun::tokenizer {

uint64_t random_seed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

// At most two thirds full, so that a search for an absent key ends soon.
void TextTable::reserve(size_t count) {
  slots_.assign(std::bit_ceil(count + count / 2 + 2), Slot{});
  used_ = 0;
  mask_ = slots_.size() - 1;
  seed_ = random_seed();
}

void PairTable::reserve(size_t count) {
  slots_.assign(std::bit_ceil(count + count / 2 + 2), Slot{});
  mask_ = slots_.size() - 1;
  seed_ = random_seed();
}

void PairTable::insert(uint32_t left, uint32_t right, Merge merge) {
  for (size_t i = slot_of(left, right);; i = (i + 1) & mask_) {
    Slot& slot = slots_[i];
    if (slot.left == left && slot.right == right) return;
    if (slot.left == kEmpty) {
      slot = {left, right, merge};
      return;
    }
  }
}

}  // namespace llmrun::tokenizer
