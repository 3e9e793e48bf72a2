// The alphabet in which GPT-2's vocabulary writes bytes: each byte is one printable character.
#pragma once

#include <string>
#include <string_view>

namespace llmrun::tokenizer {

// Appends the bytes that `text` stands for. False, with `out` unchanged, when a character is not
// of the alphabet (then the text is no byte-level token).
bool append_from_byte_alphabet(std::string_view text, std::string& out);

}  // namespace llmrun::tokenizer
