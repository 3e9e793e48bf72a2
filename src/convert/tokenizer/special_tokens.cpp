// Roles come as texts (tokenizer_config.json, special_tokens_map.json) or as ids (config.json,
// generation_config.json); texts win, because the chat template means those.
#include "convert/tokenizer/special_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"

namespace llmrun::convert {
namespace {

struct Role {
  const char* gguf;  // tokenizer.ggml.<gguf>_token_id
  const char* text;  // key of a text
  const char* id;    // key of an id
};
constexpr Role kRoles[] = {
    {"bos", "bos_token", "bos_token_id"}, {"eos", "eos_token", "eos_token_id"},
    {"unknown", "unk_token", nullptr},    {"padding", "pad_token", "pad_token_id"},
    {"seperator", "sep_token", nullptr},  // the format's spelling
    {"cls", "cls_token", nullptr},        {"mask", "mask_token", nullptr},
};

// "bos_token": "<s>", or {"content": "<s>", …}.
std::string role_text(const Config& config, const char* key) {
  if (!config.has(key)) return {};
  return config.is_text(key) ? config.text(key, "") : config.section(key).text("content", "");
}

// "eos_token_id": 2, or [2, 32000].
std::vector<int64_t> role_ids(const Config& config, const char* key) {
  if (config.is_array(key)) return config.integers(key, kTokenIds);
  if (!config.has(key)) return {};
  return {config.integer(key, 0, {-1, kMaxTokenIds - 1})};  // -1: none
}

using IdsByText = std::unordered_map<std::string_view, int64_t>;

void find_roles(const TokenizerFiles& files, const IdsByText& by_text, Vocabulary& vocabulary) {
  const auto n_tokens = static_cast<int64_t>(vocabulary.tokens.size());
  for (const Role& role : kRoles) {
    std::string text = role_text(files.tokenizer_config, role.text);
    if (text.empty()) text = role_text(files.special_tokens_map, role.text);
    if (const auto found = by_text.find(text); !text.empty() && found != by_text.end()) {
      vocabulary.ids[role.gguf] = found->second;
      continue;
    }
    if (role.id == nullptr) continue;
    for (const Config* config : {&files.generation_config, &files.config}) {
      const auto ids = role_ids(*config, role.id);
      if (ids.empty() || ids.front() < 0 || ids.front() >= n_tokens) continue;
      vocabulary.ids[role.gguf] = ids.front();
      break;
    }
  }
}

// Models that end a turn with another token than a text list all of them for generation.
void find_end_of_turn(const TokenizerFiles& files, Vocabulary& vocabulary) {
  for (const int64_t id : role_ids(files.generation_config, "eos_token_id")) {
    const auto eos = vocabulary.ids.find("eos");
    const bool is_new = eos == vocabulary.ids.end() || eos->second != id;
    if (is_new && id >= 0 && id < static_cast<int64_t>(vocabulary.tokens.size())) {
      vocabulary.ids.emplace("eot", id);
      return;
    }
  }
}

// The texts of special tokens before and after the text A in a template of single sequences.
struct Frame {
  bool known = false;
  std::string first, last;
};

Frame frame_of(const Json& tokenizer) {
  Frame frame;
  for (const Json* step : steps_of(member(tokenizer, "post_processor"), "processors")) {
    const std::string type = text_of(*step, "type");
    if (type == "BertProcessing" || type == "RobertaProcessing") {
      const auto first_of = [&](const char* key) {
        const Json* pair = member(*step, key);
        const bool is_pair = pair != nullptr && pair->is_array() && !pair->empty();
        return is_pair && (*pair)[0].is_string() ? (*pair)[0].get<std::string>() : std::string();
      };
      frame = {true, first_of("cls"), first_of("sep")};
    }
    if (type != "TemplateProcessing") continue;
    const Json* single = member(*step, "single");
    if (single == nullptr || !single->is_array()) continue;
    frame.known = true;
    bool behind = false;
    for (const Json& piece : *single) {
      if (member(piece, "Sequence") != nullptr) behind = true;
      const Json* special = member(piece, "SpecialToken");
      if (special != nullptr) (behind ? frame.last : frame.first) = text_of(*special, "id");
    }
  }
  return frame;
}

// Whether the tokenizer puts a first and a last token around a text. The post-processor decides;
// without one, the flags of slow tokenizers.
void find_flags(const Json& tokenizer, const TokenizerFiles& files, const IdsByText& by_text,
                Vocabulary& vocabulary) {
  const Frame frame = frame_of(tokenizer);
  const Config& config = files.tokenizer_config;
  const auto id_of = [&](const std::string& text) {
    const auto found = by_text.find(text);
    return found == by_text.end() ? int64_t{-1} : found->second;
  };
  if (!frame.known) {
    // The slow Llama tokenizers add it unless told otherwise.
    vocabulary.add_bos = config.flag("add_bos_token", vocabulary.model == "llama");
    vocabulary.add_eos = config.flag("add_eos_token", false);
    return;
  }
  const int64_t first = id_of(frame.first);
  const int64_t last = id_of(frame.last);
  vocabulary.add_bos = first >= 0;
  if (vocabulary.model == "bert") {
    vocabulary.add_sep = last >= 0;
    return;
  }
  if (first >= 0) vocabulary.ids["bos"] = first;
  vocabulary.add_eos = last >= 0;
  if (last >= 0 && !vocabulary.ids.contains("eos")) vocabulary.ids["eos"] = last;
}

}  // namespace

Result<void> read_special_tokens(const Json& tokenizer, const TokenizerFiles& files,
                                 Vocabulary& vocabulary) {
  IdsByText by_text;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    by_text.emplace(vocabulary.tokens[id], static_cast<int64_t>(id));
  }
  find_roles(files, by_text, vocabulary);
  find_end_of_turn(files, vocabulary);
  find_flags(tokenizer, files, by_text, vocabulary);
  if (const auto unknown = vocabulary.ids.find("unknown"); unknown != vocabulary.ids.end()) {
    TokenType& type = vocabulary.types[static_cast<size_t>(unknown->second)];
    const bool marks = vocabulary.model == "llama" || vocabulary.model == "t5";
    if (type == TokenType::kControl && marks) type = TokenType::kUnknown;
  }
  for (const Config* config : {&files.tokenizer_config, &files.special_tokens_map, &files.config,
                               &files.generation_config}) {
    LLMRUN_TRY(config->result());
  }
  return {};
}

}  // namespace llmrun::convert
