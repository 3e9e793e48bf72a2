// BPE in two kinds: on bytes written as letters ("gpt2"), and on characters with bytes as a last
// resort, which is how SentencePiece's BPE looks in a tokenizer.json ("llama").
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "convert/tokenizer/pre_tokenizer_names.h"
#include "convert/tokenizer/vocabulary.h"

namespace llmrun::convert {
namespace {

constexpr size_t kMaxMerges = size_t{1} << 23;

struct Merge {
  std::string left, right;
};

// "left right", or since 2024 ["left", "right"].
Result<Merge> read_merge(const Json& entry) {
  if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
    return Merge{entry[0].get<std::string>(), entry[1].get<std::string>()};
  }
  if (entry.is_string()) {
    const auto& text = entry.get_ref<const std::string&>();
    const size_t space = text.find(' ', 1);
    if (space != std::string::npos) return Merge{text.substr(0, space), text.substr(space + 1)};
  }
  return make_error(ErrorCode::kBadModel, "an entry of model.merges is no pair");
}

// Calls sink(merge) for each, best first.
template <typename Sink>
Result<void> for_each_merge(const Json& model, Sink&& sink) {
  const Json* merges = member(model, "merges");
  if (merges == nullptr || !merges->is_array() || merges->size() > kMaxMerges) {
    return make_error(ErrorCode::kBadModel, "model.merges is no list of at most {} pairs",
                      kMaxMerges);
  }
  for (const Json& entry : *merges) {
    LLMRUN_ASSIGN(const Merge merge, read_merge(entry));
    sink(merge);
  }
  return {};
}

bool has_step(const std::vector<const Json*>& steps, std::string_view type) {
  for (const Json* step : steps) {
    if (text_of(*step, "type") == type) return true;
  }
  return false;
}

// ---- on bytes ----------------------------------------------------------------------------------

// NFC is what text nearly always is already; anything else would change the ids.
Result<void> check_no_normaliser(const std::vector<const Json*>& normalisers) {
  for (const Json* step : normalisers) {
    const std::string type = text_of(*step, "type");
    if (type == "NFC") continue;
    return make_error(ErrorCode::kUnsupported,
                      "byte-level BPE with the normaliser \"{}\" cannot be converted",
                      type.substr(0, 64));
  }
  return {};
}

Result<void> read_byte_level(const Json& tokenizer, const TokenizerOptions& options,
                             Vocabulary& out) {
  out.model = "gpt2";
  out.pre = options.pre;
  if (out.pre.empty()) {
    LLMRUN_ASSIGN(out.pre, name_of_pre_tokenizer(tokenizer));
  }
  LLMRUN_TRY(check_no_normaliser(steps_of(member(tokenizer, "normalizer"), "normalizers")));
  return for_each_merge(*member(tokenizer, "model"), [&](const Merge& merge) {
    out.merges.push_back(merge.left + " " + merge.right);
  });
}

// ---- on characters -----------------------------------------------------------------------------

std::optional<bool> prefix_of(const Json& step) {
  const std::string type = text_of(step, "type");
  if (type == "Prepend") return true;
  if (type != "Metaspace") return std::nullopt;
  const std::string scheme = text_of(step, "prepend_scheme");
  if (!scheme.empty()) return scheme != "never";
  return flag_of(step, "add_prefix_space", true);
}

// A text is a merge's result at most once here: the best merge counts.
Result<std::unordered_map<std::string, float>> ranks_of(const Json& model) {
  std::unordered_map<std::string, float> ranks;
  float rank = 0.0F;
  LLMRUN_TRY(for_each_merge(model, [&](const Merge& merge) {
    ranks.emplace(merge.left + merge.right, rank);
    rank += 1.0F;
  }));
  return ranks;
}

bool is_byte_name(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token.back() == '>';
}

Result<void> read_byte_fallback(const Json& tokenizer, Vocabulary& out) {
  out.model = "llama";
  out.pre = "default";
  bool prefix = false;
  for (const auto& [key, list] :
       {std::pair("normalizer", "normalizers"), std::pair("pre_tokenizer", "pretokenizers")}) {
    for (const Json* step : steps_of(member(tokenizer, key), list)) {
      prefix = prefix || prefix_of(*step).value_or(false);
    }
  }
  out.add_space_prefix = prefix;
  // Readers merge the pair whose result has the highest score: the first merge gets the highest.
  LLMRUN_ASSIGN(const auto ranks, ranks_of(*member(tokenizer, "model")));
  const auto worst = static_cast<float>(ranks.size());
  out.scores.resize(out.tokens.size());
  for (size_t id = 0; id < out.tokens.size(); ++id) {
    if (out.types[id] == TokenType::kNormal && is_byte_name(out.tokens[id])) {
      out.types[id] = TokenType::kByte;
    }
    if (out.types[id] != TokenType::kNormal) continue;
    const auto found = ranks.find(out.tokens[id]);
    out.scores[id] = -(found == ranks.end() ? worst : found->second);
  }
  return {};
}

}  // namespace

Result<void> read_byte_pair(const Json& tokenizer, const TokenizerOptions& options,
                            Vocabulary& out) {
  const Json& model = *member(tokenizer, "model");
  const Json* texts = member(model, "vocab");
  if (texts == nullptr) return make_error(ErrorCode::kBadModel, "model.vocab is missing");
  LLMRUN_ASSIGN(const auto added, read_added_tokens(tokenizer));
  LLMRUN_TRY(fill_tokens(*texts, added, options.n_tokens, out));
  const auto splitters = steps_of(member(tokenizer, "pre_tokenizer"), "pretokenizers");
  if (has_step(splitters, "ByteLevel")) return read_byte_level(tokenizer, options, out);
  if (flag_of(model, "byte_fallback", false)) return read_byte_fallback(tokenizer, out);
  return make_error(ErrorCode::kUnsupported,
                    "BPE that is neither on bytes (ByteLevel) nor falls back to bytes cannot be "
                    "converted");
}

}  // namespace llmrun::convert
