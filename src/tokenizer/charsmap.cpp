// Walks the double array; no offset in it is trusted.
#include "tokenizer/charsmap.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace llmrun::tokenizer {
namespace {

static_assert(std::endian::native == std::endian::little, "units are stored little-endian");

// Bounds on one entry, so that no map makes a text quadratic or huge. Unicode's longest: 18 bytes
// that become 33.
constexpr size_t kMaxEntryBytes = 64;
constexpr size_t kMaxReplacementBytes = 256;

// A unit of the array: the byte that leads to it, where its children are, whether it has a value.
uint32_t label_of(uint32_t unit) { return unit & 0x800000FFU; }  // values have the top bit set
size_t offset_of(uint32_t unit) { return size_t{unit >> 10U} << ((unit & 0x200U) >> 6U); }
bool has_value(uint32_t unit) { return (unit & 0x100U) != 0; }
size_t value_of(uint32_t unit) { return unit & 0x7FFFFFFFU; }

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob) {
  Charsmap map;
  if (blob.empty()) return map;
  uint32_t size = 0;
  if (blob.size() >= sizeof(size)) std::memcpy(&size, blob.data(), sizeof(size));
  if (size == 0 || size % sizeof(uint32_t) != 0 || size > blob.size() - sizeof(size)) {
    return make_error(
        ErrorCode::kBadModel,
        "the normaliser (tokenizer.ggml.precompiled_charsmap) has {} bytes and a trie "
        "of {}; it is damaged",
        blob.size(), size);
  }
  map.units_.resize(size / sizeof(uint32_t));
  std::memcpy(map.units_.data(), blob.data() + sizeof(size), size);
  map.texts_ = blob.substr(sizeof(size) + size);
  return map;
}

Result<std::optional<Charsmap::Match>> Charsmap::find(std::string_view text, size_t pos) const {
  std::optional<Match> best;
  if (units_.empty()) return best;
  const auto damaged = [] {
    return make_error(ErrorCode::kBadModel,
                      "the normaliser (tokenizer.ggml.precompiled_charsmap) points outside of "
                      "itself; it is damaged");
  };
  std::optional<size_t> value;
  size_t length = 0;
  size_t node = offset_of(units_[0]);
  const size_t end = std::min(text.size(), pos + kMaxEntryBytes);
  for (size_t i = pos; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) return damaged();
    value = value_of(units_[node]);
    length = i + 1 - pos;
  }
  if (!value) return best;
  if (*value >= texts_.size()) return damaged();
  const size_t text_end = texts_.find('\0', *value);
  if (text_end == std::string::npos || text_end - *value > kMaxReplacementBytes) return damaged();
  best = Match{length, std::string_view(texts_).substr(*value, text_end - *value)};
  return best;
}

}  // namespace llmrun::tokenizer
