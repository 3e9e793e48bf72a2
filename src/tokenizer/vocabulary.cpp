// Reads the tokenizer.ggml.* keys of GGUF metadata.
#include "tokenizer/vocabulary.h"

#include <utility>

#include "base/error.h"
#include "gguf/metadata.h"

namespace llmrun::tokenizer {
namespace {

Result<void> read_id(const gguf::Metadata& metadata, std::string_view key,
                     std::optional<TokenId>& id) {
  if (id || !metadata.contains(key)) return {};
  LLMRUN_ASSIGN(const auto value, metadata.get<int64_t>(key));
  // -1, and 2^32 - 1, stand for "none"; ids past the vocabulary are dropped by the tokenizer.
  if (value >= 0 && value < INT32_MAX) id = static_cast<TokenId>(value);
  return {};
}

Result<void> read_ids(const gguf::Metadata& metadata, SpecialIds& ids) {
  const std::pair<std::string_view, std::optional<TokenId>*> keys[] = {
      {"tokenizer.ggml.bos_token_id", &ids.bos},
      {"tokenizer.ggml.cls_token_id", &ids.bos},
      {"tokenizer.ggml.eos_token_id", &ids.eos},
      {"tokenizer.ggml.eot_token_id", &ids.eot},
      {"tokenizer.ggml.eom_token_id", &ids.eom},
      {"tokenizer.ggml.unknown_token_id", &ids.unk},
      {"tokenizer.ggml.seperator_token_id", &ids.sep},  // the format's spelling
      {"tokenizer.ggml.padding_token_id", &ids.pad},
      {"tokenizer.ggml.mask_token_id", &ids.mask},
      {"tokenizer.ggml.fim_pre_token_id", &ids.fim_prefix},
      {"tokenizer.ggml.prefix_token_id", &ids.fim_prefix},
      {"tokenizer.ggml.fim_suf_token_id", &ids.fim_suffix},
      {"tokenizer.ggml.suffix_token_id", &ids.fim_suffix},
      {"tokenizer.ggml.fim_mid_token_id", &ids.fim_middle},
      {"tokenizer.ggml.middle_token_id", &ids.fim_middle},
      {"tokenizer.ggml.fim_pad_token_id", &ids.fim_pad},
      {"tokenizer.ggml.fim_rep_token_id", &ids.fim_repository},
      {"tokenizer.ggml.fim_sep_token_id", &ids.fim_separator},
  };
  for (const auto& [key, id] : keys) LLMRUN_TRY(read_id(metadata, key, *id));
  return {};
}

Result<void> read_flags(const gguf::Metadata& metadata, VocabularyData& data) {
  const std::pair<std::string_view, std::optional<bool>*> keys[] = {
      {"tokenizer.ggml.add_bos_token", &data.add_bos},
      {"tokenizer.ggml.add_eos_token", &data.add_eos},
      {"tokenizer.ggml.add_sep_token", &data.add_sep},
      {"tokenizer.ggml.add_space_prefix", &data.add_space_prefix},
      {"tokenizer.ggml.remove_extra_whitespaces", &data.remove_extra_whitespaces},
  };
  for (const auto& [key, flag] : keys) {
    if (!metadata.contains(key)) continue;
    LLMRUN_ASSIGN(*flag, metadata.get<bool>(key));
  }
  return {};
}

Result<void> read_texts(const gguf::Metadata& metadata, VocabularyData& data) {
  LLMRUN_ASSIGN(data.tokens, metadata.get_array<std::string_view>("tokenizer.ggml.tokens"));
  LLMRUN_ASSIGN(data.scores, metadata.get_array_or_empty<float>("tokenizer.ggml.scores"));
  LLMRUN_ASSIGN(const auto types,
                metadata.get_array_or_empty<int32_t>("tokenizer.ggml.token_type"));
  data.types.reserve(types.size());
  for (size_t id = 0; id < types.size(); ++id) {
    if (types[id] < 0 || types[id] > static_cast<int32_t>(TokenType::kByte)) {
      return make_error(ErrorCode::kBadModel,
                        "token {} has the type {} (tokenizer.ggml.token_type); the format knows "
                        "1 to 6",
                        id, types[id]);
    }
    data.types.push_back(static_cast<TokenType>(types[id]));
  }
  LLMRUN_ASSIGN(data.merges,
                metadata.get_array_or_empty<std::string_view>("tokenizer.ggml.merges"));
  return {};
}

// The normaliser is an array of bytes, signed in some files.
Result<void> read_charsmap(const gguf::Metadata& metadata, VocabularyData& data) {
  const gguf::Value* value = metadata.find("tokenizer.ggml.precompiled_charsmap");
  if (value == nullptr) return {};
  if (!value->is_array() || (value->element_type() != gguf::ValueType::kUint8 &&
                             value->element_type() != gguf::ValueType::kInt8)) {
    return make_error(ErrorCode::kBadModel,
                      "tokenizer.ggml.precompiled_charsmap is {}, not an array of bytes",
                      value->describe());
  }
  const auto bytes = value->bytes();
  data.precompiled_charsmap = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  return {};
}

}  // namespace

Result<VocabularyData> read_vocabulary(const gguf::Metadata& metadata) {
  VocabularyData data;
  LLMRUN_ASSIGN(data.model, metadata.get_or<std::string>("tokenizer.ggml.model", "none"));
  if (data.model == "none" || data.model == "no_vocab" || data.model == "test") {
    return make_error(ErrorCode::kUnsupported,
                      "the model has no tokenizer (tokenizer.ggml.model is \"{}\"): give it token "
                      "ids, not text",
                      data.model);
  }
  LLMRUN_ASSIGN(data.pre, metadata.get_or<std::string>("tokenizer.ggml.pre", ""));
  LLMRUN_ASSIGN(data.name, metadata.get_or<std::string>("general.name", ""));
  LLMRUN_TRY(read_texts(metadata, data));
  LLMRUN_TRY(read_charsmap(metadata, data));
  LLMRUN_TRY(read_ids(metadata, data.special));
  LLMRUN_TRY(read_flags(metadata, data));
  return data;
}

}  // namespace llmrun::tokenizer
