// What all kinds of tokenizers share: added tokens, the list of tokens, writing.
#include "convert/tokenizer/vocabulary.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/limits.h"

namespace llmrun::convert {
namespace {

// One more than the largest id of the vocabulary.
Result<int64_t> count_tokens(const Json& vocabulary) {
  int64_t count = 0;
  for (const auto& [text, id] : vocabulary.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(kMaxTokenIds)) {
      return make_error(ErrorCode::kBadModel, "the token '{}' has no id below {}",
                        text.substr(0, 64), kMaxTokenIds);
    }
    count = std::max(count, id.get<int64_t>() + 1);
  }
  return count;
}

// Gaps are filled, so a single large id must not make millions of tokens; only the rows of the
// embedding are proof of as many.
Result<void> check_count(int64_t count, int64_t n_tokens, size_t n_defined) {
  const int64_t dense = 2 * static_cast<int64_t>(n_defined) + kMaxIdGap;
  if (count <= std::min(kMaxTokenIds, std::max(n_tokens, dense))) return {};
  return make_error(ErrorCode::kBadModel, "{} tokens have ids up to {}; the file is damaged",
                    n_defined, count - 1);
}

}  // namespace

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

bool flag_of(const Json& object, const char* key, bool fallback) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : fallback;
}

std::vector<const Json*> steps_of(const Json* step, const char* list_key) {
  if (step == nullptr) return {};
  if (text_of(*step, "type") != "Sequence") return {step};
  std::vector<const Json*> steps;
  const Json* list = member(*step, list_key);
  if (list == nullptr || !list->is_array()) return steps;
  for (const Json& element : *list) {
    const auto inner = steps_of(&element, list_key);
    steps.insert(steps.end(), inner.begin(), inner.end());
  }
  return steps;
}

Result<std::vector<AddedToken>> read_added_tokens(const Json& tokenizer) {
  std::vector<AddedToken> added;
  const Json* list = member(tokenizer, "added_tokens");
  if (list == nullptr) return added;
  if (!list->is_array() || list->size() > kMaxSpecialTokens) {
    return make_error(ErrorCode::kBadModel, "added_tokens is no list of at most {} tokens",
                      kMaxSpecialTokens);
  }
  for (const Json& entry : *list) {
    const Json* id = member(entry, "id");
    const Json* text = member(entry, "content");
    if (id == nullptr || !id->is_number_unsigned() || text == nullptr || !text->is_string() ||
        id->get<uint64_t>() >= static_cast<uint64_t>(kMaxTokenIds)) {
      return make_error(ErrorCode::kBadModel, "an entry of added_tokens has no id or no content");
    }
    added.push_back(
        {id->get<int64_t>(), text->get<std::string>(), flag_of(entry, "special", false)});
  }
  return added;
}

Result<void> fill_tokens(const Json& vocabulary, const std::vector<AddedToken>& added,
                         int64_t n_tokens, Vocabulary& out) {
  if (!vocabulary.is_object()) {
    return make_error(ErrorCode::kBadModel, "model.vocab is no object of tokens and ids");
  }
  LLMRUN_ASSIGN(const int64_t count, count_tokens(vocabulary));
  LLMRUN_TRY(check_count(count, n_tokens, vocabulary.size()));
  out.tokens.resize(static_cast<size_t>(count));
  out.types.assign(static_cast<size_t>(count), TokenType::kUnused);
  for (const auto& [text, id] : vocabulary.items()) {
    out.tokens[id.get<size_t>()] = text;
    out.types[id.get<size_t>()] = TokenType::kNormal;
  }
  return place_added_tokens(added, n_tokens, out);
}

Result<void> place_added_tokens(const std::vector<AddedToken>& added, int64_t n_tokens,
                                Vocabulary& out) {
  auto count = static_cast<int64_t>(out.tokens.size());
  if (n_tokens > 0 && count > n_tokens) {
    return make_error(ErrorCode::kBadModel,
                      "the tokenizer has ids up to {}, the embedding only {} rows: tokenizer and "
                      "weights belong to different models",
                      count - 1, n_tokens);
  }
  // An added token past the embedding belongs to a sibling that sees or hears.
  const auto has_row = [n_tokens](const AddedToken& token) {
    return n_tokens == 0 || token.id < n_tokens;
  };
  for (const AddedToken& token : added) {
    if (has_row(token)) count = std::max(count, token.id + 1);
  }
  count = std::max(count, n_tokens);
  LLMRUN_TRY(check_count(count, n_tokens, out.tokens.size() + added.size()));
  out.tokens.resize(static_cast<size_t>(count));
  out.types.resize(static_cast<size_t>(count), TokenType::kUnused);
  for (const AddedToken& token : added) {
    if (!has_row(token)) continue;
    out.tokens[static_cast<size_t>(token.id)] = token.text;
    out.types[static_cast<size_t>(token.id)] =
        token.special ? TokenType::kControl : TokenType::kUserDefined;
  }
  for (size_t id = 0; id < out.tokens.size(); ++id) {
    if (out.types[id] == TokenType::kUnused) out.tokens[id] = fmt::format("[PAD{}]", id);
  }
  return {};
}

Result<Vocabulary> read_tokenizer(const Json& tokenizer, const TokenizerOptions& options) {
  const Json* model = member(tokenizer, "model");
  if (model == nullptr || !model->is_object()) {
    return make_error(ErrorCode::kBadModel, "the file has no tokenizer model");
  }
  const std::string type = text_of(*model, "type");
  Vocabulary vocabulary;
  if (type == "BPE") {
    LLMRUN_TRY(read_byte_pair(tokenizer, options, vocabulary));
  } else if (type == "Unigram") {
    LLMRUN_TRY(read_unigram(tokenizer, options, vocabulary));
  } else if (type == "WordPiece") {
    LLMRUN_TRY(read_word_piece(tokenizer, options, vocabulary));
  } else {
    return make_error(ErrorCode::kUnsupported,
                      "tokenizers of the type \"{}\" are not known; known are BPE, Unigram and "
                      "WordPiece",
                      type.substr(0, 64));
  }
  return vocabulary;
}

void write_vocabulary(const Vocabulary& vocabulary, gguf::Writer& writer) {
  writer.add_metadata("tokenizer.ggml.model", vocabulary.model);
  if (!vocabulary.pre.empty()) writer.add_metadata("tokenizer.ggml.pre", vocabulary.pre);
  writer.add_array("tokenizer.ggml.tokens", std::span<const std::string>(vocabulary.tokens));
  if (!vocabulary.scores.empty()) writer.add_array("tokenizer.ggml.scores", vocabulary.scores);
  std::vector<int32_t> types;
  types.reserve(vocabulary.types.size());
  for (const TokenType type : vocabulary.types) types.push_back(static_cast<int32_t>(type));
  writer.add_array("tokenizer.ggml.token_type", types);
  if (!vocabulary.merges.empty()) {
    writer.add_array("tokenizer.ggml.merges", std::span<const std::string>(vocabulary.merges));
  }
  if (!vocabulary.charsmap.empty()) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(vocabulary.charsmap.data());
    writer.add_array("tokenizer.ggml.precompiled_charsmap",
                     std::span<const uint8_t>(bytes, vocabulary.charsmap.size()));
  }
  for (const auto& [name, id] : vocabulary.ids) {
    writer.add_metadata(fmt::format("tokenizer.ggml.{}_token_id", name), static_cast<uint32_t>(id));
  }
  const std::pair<const char*, const std::optional<bool>*> flags[] = {
      {"add_bos_token", &vocabulary.add_bos},
      {"add_eos_token", &vocabulary.add_eos},
      {"add_sep_token", &vocabulary.add_sep},
      {"add_space_prefix", &vocabulary.add_space_prefix},
      {"remove_extra_whitespaces", &vocabulary.remove_extra_whitespaces},
  };
  for (const auto& [name, flag] : flags) {
    if (*flag) writer.add_metadata(fmt::format("tokenizer.ggml.{}", name), **flag);
  }
}

}  // namespace llmrun::convert
