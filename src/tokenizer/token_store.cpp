// Decodes the texts of a vocabulary into the store and indexes those that text can be spelt with.
#include "tokenizer/token_store.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/byte_alphabet.h"

namespace llmrun::tokenizer {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

// "<0x0A>" is 10.
std::optional<unsigned char> byte_of_name(std::string_view name) {
  if (name.size() != 6 || name.substr(0, 3) != "<0x" || name[5] != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : name.substr(3, 2)) {
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<unsigned>(c - 'A') + 10;
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value * 16 + digit;
  }
  return static_cast<unsigned char>(value);
}

void append_with_spaces(std::string_view raw, std::string& out) {
  for (size_t pos = 0; pos < raw.size();) {
    const size_t mark = raw.find(kSpaceMark, pos);
    if (mark == std::string_view::npos) {
      out.append(raw.substr(pos));
      return;
    }
    out.append(raw.substr(pos, mark - pos));
    out.push_back(' ');
    pos = mark + kSpaceMark.size();
  }
}

bool has_text(TokenType type) { return type != TokenType::kControl && type != TokenType::kUnknown; }

Result<void> check_limits(const VocabularyData& data) {
  if (data.tokens.empty()) {
    return make_error(ErrorCode::kBadModel, "the vocabulary is empty (tokenizer.ggml.tokens)");
  }
  if (data.tokens.size() > kMaxTokens) {
    return make_error(ErrorCode::kBadModel,
                      "the vocabulary has {} tokens, more than the limit of {}", data.tokens.size(),
                      kMaxTokens);
  }
  if (!data.types.empty() && data.types.size() != data.tokens.size()) {
    return make_error(ErrorCode::kBadModel,
                      "tokenizer.ggml.token_type has {} entries for {} tokens", data.types.size(),
                      data.tokens.size());
  }
  if (!data.scores.empty() && data.scores.size() != data.tokens.size()) {
    return make_error(ErrorCode::kBadModel, "tokenizer.ggml.scores has {} entries for {} tokens",
                      data.scores.size(), data.tokens.size());
  }
  size_t bytes = 0;
  for (size_t id = 0; id < data.tokens.size(); ++id) {
    if (data.tokens[id].size() > kMaxTokenBytes) {
      return make_error(ErrorCode::kBadModel, "token {} has {} bytes, more than the limit of {}",
                        id, data.tokens[id].size(), kMaxTokenBytes);
    }
    bytes += data.tokens[id].size();
  }
  for (const std::string_view merge : data.merges) bytes += merge.size();
  if (bytes > kMaxVocabularyBytes) {
    return make_error(ErrorCode::kBadModel,
                      "the vocabulary has {} bytes, more than the limit of {}", bytes,
                      kMaxVocabularyBytes);
  }
  return {};
}

}  // namespace

void TokenStore::add(std::string_view raw, TokenType type, Spelling spelling) {
  const auto offset = static_cast<uint32_t>(arena_.size());
  if (spelling == Spelling::kByteAlphabet) {
    // Added tokens are written as they are.
    const bool plain = !has_text(type) || type == TokenType::kUserDefined;
    if (plain || !append_from_byte_alphabet(raw, arena_)) arena_.append(raw);
  } else if (const auto byte = byte_of_name(raw); byte && type == TokenType::kByte) {
    arena_.push_back(static_cast<char>(*byte));
  } else if (has_text(type)) {
    append_with_spaces(raw, arena_);
  } else {
    arena_.append(raw);
  }
  const auto length = static_cast<uint32_t>(arena_.size() - offset);
  spans_.push_back({offset, length});
  types_.push_back(type);
  longest_ = std::max<size_t>(longest_, length);
}

bool TokenStore::is_spellable(std::string_view raw, uint32_t id, Spelling spelling) const {
  const TokenType type = types_[id];
  if (!has_text(type) || text(id).empty()) return false;
  if (spelling == Spelling::kSpaceMark) {
    // A token with a space that is not marked is found before the text is split, or never.
    return type != TokenType::kByte && raw.find(' ') == std::string_view::npos;
  }
  if (type != TokenType::kUserDefined) return true;
  // An added token can be the result of merges only where its text and its spelling are the same.
  return std::all_of(raw.begin(), raw.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

Result<TokenStore> TokenStore::create(const VocabularyData& data, Spelling spelling) {
  LLMRUN_TRY(check_limits(data));
  TokenStore store;
  const size_t count = data.tokens.size();
  size_t bytes = 0;
  for (const std::string_view token : data.tokens) bytes += token.size();
  store.arena_.reserve(bytes);
  store.spans_.reserve(count);
  store.types_.reserve(count);
  store.table_.reserve(count);
  std::fill(std::begin(store.byte_tokens_), std::end(store.byte_tokens_), kNone);
  for (size_t i = 0; i < count; ++i) {
    const TokenType type = data.types.empty() ? TokenType::kNormal : data.types[i];
    store.add(data.tokens[i], type, spelling);
  }
  const auto text_of = [&](uint32_t symbol) { return store.text(symbol); };
  for (uint32_t id = 0; id < count; ++id) {
    const std::string_view text = store.text(id);
    const bool is_byte = spelling == Spelling::kSpaceMark
                             ? store.types_[id] == TokenType::kByte && text.size() == 1
                             : text.size() == 1 && store.types_[id] != TokenType::kUserDefined &&
                                   has_text(store.types_[id]);
    uint32_t& byte_token = store.byte_tokens_[is_byte ? static_cast<unsigned char>(text[0]) : 0];
    if (is_byte && byte_token == kNone) byte_token = id;
    if (store.is_spellable(data.tokens[id], id, spelling)) store.table_.insert(text, id, text_of);
  }
  return store;
}

uint32_t TokenStore::find_or_add(std::string_view text) {
  if (const auto symbol = find(text)) return *symbol;
  const auto symbol = static_cast<uint32_t>(spans_.size());
  const auto offset = static_cast<uint32_t>(arena_.size());
  arena_.append(text);
  spans_.push_back({offset, static_cast<uint32_t>(text.size())});
  table_.insert(this->text(symbol), symbol, [this](uint32_t s) { return this->text(s); });
  return symbol;
}

}  // namespace llmrun::tokenizer
