// The tokenizer of a vocabulary: finds special tokens, gives the text between them to the
// algorithm of the vocabulary's kind, and puts ids back into text.
#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "tokenizer/algorithm.h"
#include "tokenizer/characters.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/special_matcher.h"
#include "tokenizer/special_roles.h"
#include "tokenizer/token_store.h"

namespace llmrun::tokenizer {
namespace {

struct Range {
  size_t begin;
  size_t end;
};

// A text and where it is untrusted; ranges ascend and do not touch.
struct MarkedText {
  std::string_view text;
  std::vector<Range> untrusted;
};

// White space beside a token that goes with it (attributes of added tokens that the format has no
// key for; they are known by the model).
struct Strip {
  bool left = false;
  bool right = false;
};

class TokenizerImpl final : public Tokenizer {
 public:
  Result<void> init(const VocabularyData& data);

  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const override {
    return encode_marked({text, {}}, options);
  }
  Result<std::vector<TokenId>> encode(std::span<const Piece> pieces,
                                      EncodeOptions options) const override;
  Result<std::string> decode(std::span<const TokenId> ids, bool with_special) const override;

  std::string_view piece(TokenId id, bool with_special) const override {
    if (!in_range(id)) return {};
    const TokenType type = store_.type(static_cast<uint32_t>(id));
    const bool hidden = type == TokenType::kControl || type == TokenType::kUnknown;
    return hidden && !with_special ? std::string_view() : store_.text(static_cast<uint32_t>(id));
  }
  size_t size() const override { return store_.size(); }
  TokenType type(TokenId id) const override {
    return in_range(id) ? store_.type(static_cast<uint32_t>(id)) : TokenType::kUndefined;
  }
  const SpecialIds& special() const override { return roles_.ids; }
  bool is_end_of_generation(TokenId id) const override {
    const auto& ends = roles_.end_of_generation;
    return std::binary_search(ends.begin(), ends.end(), id);
  }
  std::span<const TokenId> end_of_generation_ids() const override {
    return roles_.end_of_generation;
  }
  bool is_control(TokenId id) const override { return type(id) == TokenType::kControl; }
  std::optional<TokenId> find(std::string_view text) const override;
  bool adds_bos() const override { return first_.has_value(); }
  bool adds_eos() const override { return last_.has_value(); }
  std::string_view model_name() const override { return model_; }
  std::string_view pre_name() const override { return pre_; }
  size_t longest_piece() const override { return store_.longest(); }

 private:
  bool in_range(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < store_.size(); }
  Result<void> init_algorithm(const VocabularyData& data);
  void init_flags(const VocabularyData& data);
  void init_matcher(const VocabularyData& data);
  Result<std::vector<TokenId>> encode_marked(const MarkedText& marked, EncodeOptions options) const;
  Result<void> encode_fragments(const MarkedText& marked, bool parse_special, Scratch& scratch,
                                std::vector<TokenId>& out) const;
  std::unique_ptr<Scratch> take_scratch() const;

  std::string model_;
  std::string pre_;
  TokenStore store_;
  SpecialRoles roles_;
  SpecialMatcher matcher_;
  // By id, for tokens of the matcher: whether only trusted text may have it, and what it strips.
  std::vector<bool> needs_trust_;
  std::vector<std::pair<TokenId, Strip>> strips_;  // ascending; a handful
  std::unique_ptr<Algorithm> algorithm_;
  bool add_space_prefix_ = false;
  bool strips_first_space_ = false;  // in decode()
  std::optional<TokenId> first_;     // what add_special puts in front
  std::optional<TokenId> last_;
  mutable std::mutex mutex_;  // of scratch_
  mutable std::vector<std::unique_ptr<Scratch>> scratch_;
};

Result<void> TokenizerImpl::init(const VocabularyData& data) {
  model_ = data.model;
  pre_ = data.pre;
  const Spelling spelling = model_ == "gpt2" ? Spelling::kByteAlphabet : Spelling::kSpaceMark;
  LLMRUN_ASSIGN(store_, TokenStore::create(data, spelling));
  roles_ = find_special_roles(data, store_);
  init_flags(data);
  LLMRUN_TRY(init_algorithm(data));
  init_matcher(data);
  return {};
}

Result<void> TokenizerImpl::init_algorithm(const VocabularyData& data) {
  VocabularyData checked;  // what the algorithms read beside the store
  checked.pre = data.pre;
  checked.scores = data.scores;
  checked.merges = data.merges;
  checked.special = roles_.ids;
  checked.precompiled_charsmap = data.precompiled_charsmap;
  checked.remove_extra_whitespaces = data.remove_extra_whitespaces;
  if (model_ == "gpt2") {
    LLMRUN_ASSIGN(algorithm_, make_byte_pair(checked, store_));
  } else if (model_ == "llama") {
    LLMRUN_ASSIGN(algorithm_, make_sentence_piece(checked, store_, add_space_prefix_));
  } else if (model_ == "t5") {
    LLMRUN_ASSIGN(algorithm_, make_unigram(checked, store_, add_space_prefix_));
  } else if (model_ == "bert") {
    LLMRUN_ASSIGN(algorithm_, make_word_piece(checked, store_));
  } else {
    return make_error(ErrorCode::kUnsupported,
                      "unknown tokenizer \"{}\" (tokenizer.ggml.model); known are gpt2 "
                      "(byte-level BPE), llama (SentencePiece), t5 (Unigram) and bert (WordPiece)",
                      model_);
  }
  return {};
}

// Defaults where the file has no key: those of the kind of tokenizer.
void TokenizerImpl::init_flags(const VocabularyData& data) {
  bool add_bos = false;
  bool add_eos = false;
  SpecialIds& ids = roles_.ids;
  const auto default_id = [&](std::optional<TokenId>& role, TokenId id) {
    if (role || !in_range(id)) return;
    const TokenType type = store_.type(static_cast<uint32_t>(id));
    if (type == TokenType::kControl || type == TokenType::kUnknown) role = id;
  };
  if (model_ == "gpt2") {
    const auto pre = find_pre_tokenizer(pre_);
    add_bos = pre && (*pre)->add_bos;
  } else if (model_ == "llama") {
    add_bos = true;
    add_space_prefix_ = data.add_space_prefix.value_or(true);
    strips_first_space_ = add_space_prefix_;
    default_id(ids.unk, 0);
    default_id(ids.bos, 1);
    default_id(ids.eos, 2);
  } else if (model_ == "t5") {
    add_eos = true;
    add_space_prefix_ = data.add_space_prefix.value_or(true);
    strips_first_space_ = add_space_prefix_;
    default_id(ids.eos, 1);
    default_id(ids.unk, 2);
  } else if (model_ == "bert") {
    add_bos = true;
    add_eos = true;
    strips_first_space_ = true;
    default_id(ids.bos, 101);
    default_id(ids.sep, 102);
  }
  if (data.add_bos.value_or(add_bos)) first_ = ids.bos;
  if (model_ == "bert") {
    if (data.add_sep.value_or(data.add_eos.value_or(add_eos))) last_ = ids.sep ? ids.sep : ids.eos;
  } else if (data.add_eos.value_or(add_eos)) {
    last_ = ids.eos;
  }
}

void TokenizerImpl::init_matcher(const VocabularyData& data) {
  needs_trust_.resize(store_.size());
  std::string name = data.name;
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  const bool is_phi3 =
      name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
  const bool mask_strips_left = pre_ == "jina-v2-de" || pre_ == "jina-v2-es" ||
                                pre_ == "jina-v2-code" || pre_ == "modern-bert";
  for (uint32_t i = 0; i < store_.size(); ++i) {
    const TokenType type = store_.type(i);
    const bool is_control = type == TokenType::kControl || type == TokenType::kUnknown;
    if (!is_control && type != TokenType::kUserDefined) continue;
    const std::string_view text = store_.text(i);
    const auto id = static_cast<TokenId>(i);
    matcher_.add(text, id);
    needs_trust_[i] = is_control || looks_like_control(text);
    Strip strip;
    strip.left = mask_strips_left && (text == "<mask>" || text == "[MASK]");
    strip.right = is_phi3 && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
    if (strip.left || strip.right) strips_.emplace_back(id, strip);
  }
}

std::optional<TokenId> TokenizerImpl::find(std::string_view text) const {
  const TokenId special = matcher_.longest_match(
      text, 0, [&](TokenId, size_t length) { return length == text.size(); });
  if (special >= 0) return special;
  const auto symbol = store_.find(text);
  if (symbol && *symbol < store_.size()) return static_cast<TokenId>(*symbol);
  return std::nullopt;
}

std::unique_ptr<Scratch> TokenizerImpl::take_scratch() const {
  const std::lock_guard lock(mutex_);
  if (scratch_.empty()) return std::make_unique<Scratch>();
  std::unique_ptr<Scratch> scratch = std::move(scratch_.back());
  scratch_.pop_back();
  return scratch;
}

Result<std::vector<TokenId>> TokenizerImpl::encode(std::span<const Piece> pieces,
                                                   EncodeOptions options) const {
  size_t bytes = 0;
  for (const Piece& part : pieces) bytes += std::min(part.text.size(), kMaxTextBytes);
  std::string joined;
  MarkedText marked;
  // Too long a text is refused below; its pieces need not be joined for that.
  if (bytes <= kMaxTextBytes) joined.reserve(bytes);
  for (const Piece& part : pieces) {
    if (bytes > kMaxTextBytes) break;
    const Range range{joined.size(), joined.size() + part.text.size()};
    joined.append(part.text);
    if (part.trusted || part.text.empty()) continue;
    if (!marked.untrusted.empty() && marked.untrusted.back().end == range.begin) {
      marked.untrusted.back().end = range.end;
    } else {
      marked.untrusted.push_back(range);
    }
  }
  if (bytes > kMaxTextBytes) {
    return make_error(ErrorCode::kUsage, "the text has more than {} bytes, the limit for one text",
                      kMaxTextBytes);
  }
  marked.text = joined;
  return encode_marked(marked, options);
}

Result<std::vector<TokenId>> TokenizerImpl::encode_marked(const MarkedText& marked,
                                                          EncodeOptions options) const {
  if (marked.text.size() > kMaxTextBytes) {
    return make_error(ErrorCode::kUsage, "the text has {} bytes, more than the limit of {}",
                      marked.text.size(), kMaxTextBytes);
  }
  std::vector<TokenId> out;
  out.reserve(marked.text.size() / 4 + 8);
  if (options.add_special && first_) out.push_back(*first_);
  std::unique_ptr<Scratch> scratch = take_scratch();
  const auto encoded = encode_fragments(marked, options.parse_special, *scratch, out);
  {
    const std::lock_guard lock(mutex_);
    scratch_.push_back(std::move(scratch));
  }
  LLMRUN_TRY(encoded);
  if (options.add_special && last_) out.push_back(*last_);
  return out;
}

Result<void> TokenizerImpl::encode_fragments(const MarkedText& marked, bool parse_special,
                                             Scratch& scratch, std::vector<TokenId>& out) const {
  const std::string_view text = marked.text;
  size_t fragment = 0;  // where the ordinary text before the next special token begins
  bool at_start = true;
  size_t first_range = 0;  // the first untrusted range that ends after `pos`
  for (size_t pos = matcher_.next_candidate(text, 0); pos < text.size();
       pos = matcher_.next_candidate(text, pos)) {
    while (first_range < marked.untrusted.size() && marked.untrusted[first_range].end <= pos) {
      ++first_range;
    }
    const size_t trusted_end = first_range < marked.untrusted.size()
                                   ? std::max(marked.untrusted[first_range].begin, pos)
                                   : text.size();
    const TokenId id = matcher_.longest_match(text, pos, [&](TokenId token, size_t length) {
      const auto index = static_cast<size_t>(token);
      const TokenType type = store_.type(static_cast<uint32_t>(token));
      if (type != TokenType::kUserDefined && !parse_special) return false;
      return !needs_trust_[index] || pos + length <= trusted_end;
    });
    if (id < 0) {
      ++pos;
      continue;
    }
    const auto strip = std::lower_bound(strips_.begin(), strips_.end(), id,
                                        [](const auto& a, TokenId b) { return a.first < b; });
    const bool has_strip = strip != strips_.end() && strip->first == id;
    size_t end = pos;
    if (has_strip && strip->second.left) {
      while (end > fragment && (kAsciiClasses[text[end - 1] & 0x7F] & kSpace) != 0 &&
             (static_cast<unsigned char>(text[end - 1]) < 0x80)) {
        --end;
      }
    }
    if (end > fragment) {
      LLMRUN_TRY(algorithm_->encode(text.substr(fragment, end - fragment), at_start, scratch, out));
    }
    out.push_back(id);
    at_start = true;
    pos += store_.text(static_cast<uint32_t>(id)).size();
    if (has_strip && strip->second.right) pos = run_of(text, pos, kSpace);
    fragment = pos;
  }
  if (fragment < text.size()) {
    LLMRUN_TRY(algorithm_->encode(text.substr(fragment), at_start, scratch, out));
  }
  return {};
}

Result<std::string> TokenizerImpl::decode(std::span<const TokenId> ids, bool with_special) const {
  std::string text;
  bool strip_space = strips_first_space_;
  for (const TokenId id : ids) {
    if (!in_range(id)) {
      return make_error(ErrorCode::kUsage, "token id {} is not in the vocabulary of {} tokens", id,
                        store_.size());
    }
    std::string_view part = piece(id, with_special);
    const TokenType token_type = store_.type(static_cast<uint32_t>(id));
    if (token_type != TokenType::kControl && strip_space) {
      if (!part.empty() && part.front() == ' ' && token_type != TokenType::kUserDefined) {
        part.remove_prefix(1);
      }
      strip_space = false;
    }
    text.append(part);
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(const VocabularyData& data) {
  auto tokenizer = std::make_unique<TokenizerImpl>();
  LLMRUN_TRY(tokenizer->init(data));
  return tokenizer;
}

}  // namespace llmrun::tokenizer
