// A file cut at every byte and damaged at every byte of its header gives an error or a well-formed
// file: no crash, no hang, and no allocation that the length of the file does not justify.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <new>

#include "gguf/tiny_model.h"

namespace {

// Bytes asked of operator new since the counter was reset, and the largest single request.
size_t allocated_bytes = 0;
size_t largest_allocation = 0;

void* counted(size_t n_bytes) {
  allocated_bytes += n_bytes;
  if (n_bytes > largest_allocation) largest_allocation = n_bytes;
  void* memory = std::malloc(n_bytes == 0 ? 1 : n_bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t n_bytes) { return counted(n_bytes); }
void* operator new[](size_t n_bytes) { return counted(n_bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace llmrun::gguf {
namespace {

// Touches all that a user of an opened file could: every value in every form, every tensor byte.
uint64_t touch(const File& file) {
  uint64_t sum = 0;
  for (const Metadata::Entry& entry : file.metadata().entries()) {
    sum += entry.value.to_display().size() + entry.value.describe().size();
    if (const auto texts = entry.value.as_array<std::string_view>()) {
      for (const std::string_view text : *texts) {
        for (const char c : text) sum += static_cast<unsigned char>(c);
      }
    }
    if (const auto numbers = entry.value.as_array<int64_t>()) {
      for (const int64_t number : *numbers) sum += static_cast<uint64_t>(number);
    }
    if (const auto nested = entry.value.elements()) sum += nested->size();
  }
  for (const TensorInfo& tensor : file.tensors()) {
    for (const std::byte b : tensor.data()) sum += std::to_integer<uint64_t>(b);
  }
  return sum;
}

struct Outcome {
  bool opened = false;
  uint64_t sum = 0;
};

// Opens a copy of exactly these bytes on the heap, so that a sanitizer sees any step outside.
Outcome try_open(std::span<const std::byte> bytes) {
  const std::vector<std::byte> copy(bytes.begin(), bytes.end());
  allocated_bytes = 0;
  largest_allocation = 0;
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome;
  {
    const auto file = File::from_bytes(copy);
    if (file) {
      outcome = {true, touch(*file)};
    } else {
      EXPECT_FALSE(file.error().message.empty());
      EXPECT_FALSE(file.error().context.empty() && file.error().message.empty());
    }
  }
  const auto time = std::chrono::steady_clock::now() - start;
  // Some 30 times the file: the directory's entries are larger than their shortest form in it.
  EXPECT_LT(allocated_bytes, 32 * copy.size() + 65'536);
  EXPECT_LT(largest_allocation, 8 * copy.size() + 16'384);
  EXPECT_LT(time, std::chrono::seconds(2));
  return outcome;
}

TEST(GgufCorruption, TheWholeFileOpens) {
  const auto bytes = test::tiny_writer().to_bytes().value();
  const Outcome outcome = try_open(bytes);
  EXPECT_TRUE(outcome.opened);
  EXPECT_GT(outcome.sum, 0U);
}

TEST(GgufCorruption, CutAtEveryByte) {
  const auto bytes = test::tiny_writer().to_bytes().value();
  // The padding behind the last tensor may go; any more may not.
  const auto file = File::from_bytes(bytes).value();
  const TensorInfo& last = file.tensors().back();
  const size_t needed = last.offset + last.size_bytes;
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(try_open(std::span(bytes).first(n)).opened, n >= needed) << "cut at " << n;
  }
}

TEST(GgufCorruption, EveryByteOfTheHeaderFlipped) {
  const auto bytes = test::tiny_writer().to_bytes().value();
  const size_t header = File::from_bytes(bytes).value().tensors()[0].offset;
  int n_refused = 0;
  for (size_t i = 0; i < header; ++i) {
    for (const unsigned flip : {0x01U, 0x02U, 0x04U, 0x08U, 0x10U, 0x20U, 0x40U, 0x80U, 0xFFU}) {
      auto damaged = bytes;
      damaged[i] ^= static_cast<std::byte>(flip);
      n_refused += try_open(damaged).opened ? 0 : 1;
    }
  }
  // Flips in texts, numbers and padding leave a well-formed file; those in lengths and types do
  // not.
  EXPECT_GT(n_refused, 1000);
}

TEST(GgufCorruption, EveryByteOfTheHeaderSetToExtremes) {
  const auto bytes = test::tiny_writer().to_bytes().value();
  const size_t header = File::from_bytes(bytes).value().tensors()[0].offset;
  for (size_t i = 0; i + 8 <= header; ++i) {
    for (const uint64_t value : {uint64_t{0}, ~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 26,
                                 uint64_t{0x7FFFFFFFFFFFFFFF}}) {
      auto damaged = bytes;
      std::memcpy(damaged.data() + i, &value, sizeof(value));
      try_open(damaged);
    }
  }
}

// A header may promise millions of entries; only what the file holds is ever allocated.
TEST(GgufCorruption, PromisesCostNothing) {
  try_open(test::Bytes().header(kMaxTensors, kMaxKeys).zeros(100).get());
  test::Bytes nested;
  nested.header(0, 1).key("a", ValueType::kArray);
  nested.number(static_cast<uint32_t>(ValueType::kArray)).number(kMaxArrayElements).zeros(4000);
  try_open(nested.get());
  test::Bytes strings;
  strings.header(0, 1).key("a", ValueType::kArray);
  strings.number(static_cast<uint32_t>(ValueType::kString)).number(kMaxArrayElements).zeros(4000);
  try_open(strings.get());
}

}  // namespace
}  // namespace llmrun::gguf
