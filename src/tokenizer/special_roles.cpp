// The texts, gathered from the vocabularies of published models.
#include "tokenizer/special_roles.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>

namespace llmrun::tokenizer {
namespace {

// End of text, turn or message. Nothing else has one of these names.
constexpr std::string_view kEnds[] = {"<|endoftext|>",
                                      "<|end_of_text|>",
                                      "<|im_end|>",
                                      "<|eot_id|>",
                                      "<|eom_id|>",
                                      "<|eot|>",
                                      "<|end|>",
                                      "<|return|>",
                                      "<|call|>",
                                      "<|calls|>",
                                      "<|flush|>",
                                      "<end_of_turn>",
                                      "<turn|>",
                                      "<|tool_response>",
                                      "<|end_of_turn|>",
                                      "<|endofturn|>",
                                      "<|END_OF_TURN_TOKEN|>",
                                      "<EOT>",
                                      "_<EOT>",
                                      "<end_of_utterance>",
                                      "<\xEF\xBD\x9C"
                                      "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
                                      "<|plamo:eos|>",
                                      "[e~["};

// These end a text too, but only as control tokens: Gemma has "</s>" for the end of HTML's <s>.
constexpr std::string_view kEndsIfControl[] = {"</s>", "<eos>", "[EOS]", "[EOT]"};

constexpr std::string_view kEndsOfTurn[] = {
    "<|eot_id|>",    "<|im_end|>", "<|end|>",         "<end_of_turn>",
    "<turn|>",       "<|eot|>",    "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>",
    "<|endofturn|>", "<EOT>",      "_<EOT>",          "<end_of_utterance>"};
constexpr std::string_view kEndsOfMessage[] = {"<|eom_id|>"};
constexpr std::string_view kFimPrefix[] = {"<|fim_prefix|>",
                                           "<fim-prefix>",
                                           "<fim_prefix>",
                                           "<PRE>",
                                           "<|code_prefix|>",
                                           "<|prefix|>",
                                           "<\xEF\xBD\x9C"
                                           "fim\xE2\x96\x81"
                                           "begin\xEF\xBD\x9C>"};
constexpr std::string_view kFimSuffix[] = {"<|fim_suffix|>",
                                           "<fim-suffix>",
                                           "<fim_suffix>",
                                           "<SUF>",
                                           "<|code_suffix|>",
                                           "<|suffix|>",
                                           "<\xEF\xBD\x9C"
                                           "fim\xE2\x96\x81hole\xEF\xBD\x9C>"};
constexpr std::string_view kFimMiddle[] = {"<|fim_middle|>",
                                           "<fim-middle>",
                                           "<fim_middle>",
                                           "<MID>",
                                           "<|code_middle|>",
                                           "<|middle|>",
                                           "<\xEF\xBD\x9C"
                                           "fim\xE2\x96\x81"
                                           "end\xEF\xBD\x9C>"};
constexpr std::string_view kFimPad[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>"};
constexpr std::string_view kFimRepository[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>",
                                               "<REPO>",       "<reponame>",    "<repo_name>"};
constexpr std::string_view kFimSeparator[] = {"<|file_sep|>", "<file_sep>"};

using IdsByText = std::unordered_map<std::string_view, TokenId>;

template <size_t n>
bool contains(const std::string_view (&list)[n], std::string_view text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

template <size_t n>
void fill_if_absent(std::optional<TokenId>& role, const std::string_view (&texts)[n],
                    const IdsByText& ids) {
  for (const std::string_view text : texts) {
    if (role) return;
    if (const auto found = ids.find(text); found != ids.end()) role = found->second;
  }
}

// All tokens that may have a role: those with a bracket at either end.
IdsByText candidates(const TokenStore& tokens) {
  IdsByText ids;
  for (uint32_t id = 0; id < tokens.size(); ++id) {
    const std::string_view text = tokens.text(id);
    if (text.size() < 3) continue;
    const bool has_brackets = text.front() == '<' || text.front() == '[' || text.front() == '_';
    if (has_brackets) ids.try_emplace(text, static_cast<TokenId>(id));
  }
  return ids;
}

void keep_in_range(std::optional<TokenId>& role, size_t size) {
  // An id past the vocabulary is what some conversions write for "none".
  if (role && (*role < 0 || static_cast<size_t>(*role) >= size)) role.reset();
}

}  // namespace

SpecialRoles find_special_roles(const VocabularyData& data, TokenStore& tokens) {
  SpecialRoles roles{data.special, {}};
  SpecialIds& ids = roles.ids;
  for (auto* role : {&ids.bos, &ids.eos, &ids.eot, &ids.eom, &ids.unk, &ids.sep, &ids.pad,
                     &ids.mask, &ids.fim_prefix, &ids.fim_suffix, &ids.fim_middle, &ids.fim_pad,
                     &ids.fim_repository, &ids.fim_separator}) {
    keep_in_range(*role, tokens.size());
  }
  const IdsByText by_text = candidates(tokens);
  fill_if_absent(ids.eot, kEndsOfTurn, by_text);
  fill_if_absent(ids.eom, kEndsOfMessage, by_text);
  fill_if_absent(ids.fim_prefix, kFimPrefix, by_text);
  fill_if_absent(ids.fim_suffix, kFimSuffix, by_text);
  fill_if_absent(ids.fim_middle, kFimMiddle, by_text);
  fill_if_absent(ids.fim_pad, kFimPad, by_text);
  fill_if_absent(ids.fim_repository, kFimRepository, by_text);
  fill_if_absent(ids.fim_separator, kFimSeparator, by_text);

  std::vector<TokenId>& ends = roles.end_of_generation;
  for (const auto& role : {ids.eos, ids.eot, ids.eom}) {
    if (role) ends.push_back(*role);
  }
  for (const auto& [text, id] : by_text) {
    const auto index = static_cast<uint32_t>(id);
    const bool is_control = tokens.type(index) == TokenType::kControl;
    if (contains(kEnds, text) || (is_control && contains(kEndsIfControl, text))) {
      ends.push_back(id);
      tokens.set_type(index, TokenType::kControl);
    }
  }
  // In gpt-oss a message inside a turn ends with <|end|>, and generation goes on.
  if (by_text.contains("<|return|>") && by_text.contains("<|call|>")) {
    if (const auto end = by_text.find("<|end|>"); end != by_text.end()) {
      ends.erase(std::remove(ends.begin(), ends.end(), end->second), ends.end());
      if (ids.eot == end->second) ids.eot.reset();
    }
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return roles;
}

bool looks_like_control(std::string_view text) {
  const auto is_framed = [&](std::string_view open, std::string_view close) {
    return text.size() > open.size() + close.size() && text.substr(0, open.size()) == open &&
           text.substr(text.size() - close.size()) == close;
  };
  if (is_framed("<|", "|>") || is_framed("<|", ">") || is_framed("<", "|>")) return true;
  if (is_framed("<\xEF\xBD\x9C", "\xEF\xBD\x9C>")) return true;
  constexpr std::string_view kNames[] = {
      "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "[INST]",
      "[/INST]",         "<s>",           "[multimodal]"};
  return contains(kNames, text);
}

}  // namespace llmrun::tokenizer
