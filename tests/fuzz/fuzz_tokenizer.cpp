// Tokenizer round trip: any text through any kind of tokenizer and any splitter, in pieces and
// whole, and back; the stream decoder on the way; and vocabularies made of arbitrary texts.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace {

using namespace llmrun::tokenizer;
using llmrun::TokenId;

constexpr std::string_view kSplitters[] = {
    "default", "gpt-2",  "starcoder", "llama-bpe",    "qwen2",          "qwen35",
    "gpt-4o",  "tekken", "kimi-k2",   "deepseek-llm", "deepseek-coder", "falcon",
    "bloom",   "viking", "superbpe",  "seed-coder",   "deepseek-v3"};

// Takes numbers and texts off the front of the input.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  unsigned byte() {
    if (bytes_.empty()) return 0;
    const auto value = static_cast<unsigned char>(bytes_[0]);
    bytes_.remove_prefix(1);
    return value;
  }
  std::string_view text(size_t size) {
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(part.size());
    return part;
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fuzz_tokenizer: %s\n", what);
  std::abort();
}

std::string in_byte_alphabet(unsigned byte) {
  const auto is_plain = [](unsigned b) {
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
  };
  unsigned code = byte;
  if (!is_plain(byte)) {
    code = 0x100;
    for (unsigned b = 0; b < byte; ++b) code += is_plain(b) ? 0 : 1;
  }
  return llmrun::utf8::encode(code);
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  VocabularyData data;
  void add(std::string text, TokenType type) {
    tokens.push_back(std::move(text));
    data.types.push_back(type);
    data.scores.push_back(static_cast<float>(tokens.size() % 7) * -1.5F);
  }
  const VocabularyData& view() {
    data.tokens.assign(tokens.begin(), tokens.end());
    data.merges.assign(merges.begin(), merges.end());
    return data;
  }
};

Vocabulary base_vocabulary(unsigned kind, unsigned splitter) {
  Vocabulary v;
  constexpr std::string_view kModels[] = {"gpt2", "llama", "bert", "t5"};
  v.data.model = kModels[kind];
  v.data.pre = kSplitters[splitter % std::size(kSplitters)];
  v.add("<unk>", TokenType::kUnknown);
  v.add("<s>", TokenType::kControl);
  v.add("</s>", TokenType::kControl);
  v.data.special.unk = 0;
  v.data.special.bos = 1;
  v.data.special.eos = 2;
  for (unsigned byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    if (kind == 0) {
      v.add(in_byte_alphabet(byte), TokenType::kNormal);
    } else {
      v.add(std::string("<0x") + kDigits[byte >> 4U] + kDigits[byte & 15U] + ">", TokenType::kByte);
    }
  }
  v.add("<|im_end|>", TokenType::kControl);
  v.add("<tool>", TokenType::kUserDefined);
  const std::string space = kind == 0 ? in_byte_alphabet(' ') : "\xE2\x96\x81";
  for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{
           {"a", "a"}, {"aa", "aa"}, {space, "a"}, {"t", "h"}, {space, space}, {"1", "2"}}) {
    v.add(left + right, TokenType::kNormal);
    if (kind == 0) v.merges.push_back(left + " " + right);
  }
  return v;
}

void check_round_trip(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, {false, false});
  if (!ids) fail("encode failed");
  const auto back = tokenizer.decode(*ids, true);
  if (!back) fail("decode failed");
  // A user's U+2581 is a space to SentencePiece, and WordPiece loses case and spaces.
  const bool is_exact =
      tokenizer.model_name() == "gpt2" ||
      (tokenizer.model_name() == "llama" && text.find("\xE2\x96\x81") == std::string_view::npos &&
       text.find('<') == std::string_view::npos);
  if (is_exact && *back != text) fail("the round trip changed the text");

  std::vector<Piece> pieces;
  for (size_t pos = 0; pos < text.size(); pos += 3) {
    pieces.push_back({text.substr(pos, 3), pos % 2 == 0});
  }
  const auto joined = tokenizer.encode(std::span<const Piece>(pieces), {false, false});
  if (!joined) fail("encode of pieces failed");
  const bool has_marker = text.find("<") != std::string_view::npos;
  if (!has_marker && *joined != *ids) fail("pieces are not one text");
  const auto parsed = tokenizer.encode(std::span<const Piece>(pieces), {true, true});
  if (!parsed) fail("encode with special tokens failed");

  const Piece untrusted[] = {{text, false}};
  const auto safe = tokenizer.encode(std::span<const Piece>(untrusted), {false, true});
  if (!safe) fail("encode of untrusted text failed");
  for (const TokenId id : *safe) {
    if (tokenizer.is_control(id)) fail("untrusted text gave a control token");
  }

  StreamDecoder decoder(tokenizer, {"stop", "top!", "</s>"});
  for (const TokenId id : *ids) {
    const std::string part = decoder.push(id);
    if (!llmrun::utf8::is_valid(part)) fail("the stream has half a character");
  }
  if (!llmrun::utf8::is_valid(decoder.flush())) fail("the stream ends in half a character");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input({reinterpret_cast<const char*>(data), size});
  const unsigned mode = input.byte();
  const unsigned splitter = input.byte();
  // Without texts of its own the vocabulary depends on the two bytes only, and is kept.
  static std::unique_ptr<Tokenizer> cache[4][std::size(kSplitters)];
  const unsigned kind = mode % 4;
  if (mode < 128) {
    auto& tokenizer = cache[kind][splitter % std::size(kSplitters)];
    if (tokenizer == nullptr) {
      Vocabulary v = base_vocabulary(kind, splitter);
      auto made = Tokenizer::create(v.view());
      if (!made) fail("the tokenizer cannot be made");
      tokenizer = std::move(*made);
    }
    check_round_trip(*tokenizer, input.rest());
    return 0;
  }
  // A hostile vocabulary: it must be refused or work, and never crash.
  Vocabulary v = base_vocabulary(kind, splitter);
  for (unsigned count = input.byte() % 16; count > 0; --count) {
    const auto type = static_cast<TokenType>(input.byte() % 7);
    v.add(std::string(input.text(input.byte() % 12)), type);
  }
  for (unsigned count = input.byte() % 8; count > 0; --count) {
    v.merges.emplace_back(input.text(input.byte() % 8));
  }
  const std::string charsmap(input.text(input.byte()));
  v.data.precompiled_charsmap = charsmap;
  v.data.remove_extra_whitespaces = input.byte() % 2 == 0;
  v.data.special.eot = static_cast<TokenId>(input.byte()) - 2;
  v.data.special.unk = static_cast<TokenId>(input.byte()) * 3 - 2;
  v.data.add_space_prefix = input.byte() % 2 == 0;
  v.data.add_eos = true;
  const auto tokenizer = Tokenizer::create(v.view());
  if (!tokenizer) return 0;
  const auto ids = (*tokenizer)->encode(input.rest());
  if (ids && !(*tokenizer)->decode(*ids, true)) fail("decode of own ids failed");
  (void)(*tokenizer)->find(input.rest());
  return 0;
}
