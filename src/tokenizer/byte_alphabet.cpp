// Printable Latin-1 characters stand for themselves; the other 68 bytes, in ascending order, are
// U+0100 and following (bytes_to_unicode() of the GPT-2 source).
#include "tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

namespace llmrun::tokenizer {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr uint32_t kAlphabetEnd = 0x100 + 68;

// Character to byte; -1 where the character is not of the alphabet.
constexpr std::array<int16_t, kAlphabetEnd> make_bytes() {
  std::array<int16_t, kAlphabetEnd> bytes{};
  for (auto& byte : bytes) byte = -1;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes[stands_for_itself(byte) ? byte : next++] = static_cast<int16_t>(byte);
  }
  return bytes;
}

constexpr std::array<int16_t, kAlphabetEnd> kBytes = make_bytes();

}  // namespace

bool append_from_byte_alphabet(std::string_view text, std::string& out) {
  const size_t before = out.size();
  for (size_t pos = 0; pos < text.size();) {
    // All characters of the alphabet have one or two bytes.
    const auto lead = static_cast<unsigned char>(text[pos]);
    uint32_t code = lead;
    size_t length = 1;
    if (lead >= 0x80 && pos + 1 < text.size()) {
      code = (lead & 0x1FU) << 6U | (static_cast<unsigned char>(text[pos + 1]) & 0x3FU);
      length = 2;
    }
    const bool two_bytes = lead >= 0xC2 && lead <= 0xDF && length == 2 &&
                           (static_cast<unsigned char>(text[pos + 1]) & 0xC0U) == 0x80U;
    if ((lead >= 0x80 && !two_bytes) || code >= kAlphabetEnd || kBytes[code] < 0) {
      out.resize(before);
      return false;
    }
    out.push_back(static_cast<char>(static_cast<unsigned char>(kBytes[code])));
    pos += length;
  }
  return true;
}

}  // namespace llmrun::tokenizer
