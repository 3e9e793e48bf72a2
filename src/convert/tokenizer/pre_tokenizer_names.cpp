// A table of facts: the steps of a pre_tokenizer, written as one line, and the name that stands for
// them in tokenizer.ggml.pre. The expressions are those of the models' tokenizer.json files.
#include "convert/tokenizer/pre_tokenizer_names.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/tokenizer/vocabulary.h"

namespace llmrun::convert {
namespace {

// Pieces that several expressions share.
#define CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define TAIL R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define BEFORE R"([^\r\n\p{L}\p{N}]?)"

struct Known {
  std::string_view steps;  // each "<step>;"; a '*' at the end stands for anything
  std::string_view name;
  std::string_view name_ignoring_merges = {};  // with model.ignore_merges; empty: the same
};

constexpr Known kKnown[] = {
    {"ByteLevel+;", "gpt-2"},
    {"Digits1;ByteLevel+;", "smollm"},
    {R"(Split:\p{N};ByteLevel+;)", "smollm"},
    {"Split:" CONTRACTIONS "|" BEFORE R"(\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" TAIL
     ";ByteLevel;",
     "dbrx", "llama-bpe"},
    {R"(Split:'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+;ByteLevel;)",
     "dbrx", "llama-bpe"},
    {"Split:" CONTRACTIONS "|" BEFORE R"(\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" TAIL
     ";ByteLevel;",
     "qwen2"},
    {"Split:" CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
     R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" TAIL ";ByteLevel;",
     "qwen35"},
    {"Split:" BEFORE UPPER "*" LOWER "+" CONTRACTIONS "?|" BEFORE UPPER "+" LOWER "*" CONTRACTIONS
     R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" TAIL ";ByteLevel;",
     "gpt-4o"},
    {"Split:" BEFORE UPPER "*" LOWER "+|" BEFORE UPPER "+" LOWER
     R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" TAIL ";ByteLevel;",
     "tekken"},
    {R"(Split:\p{N}{1,3};Split:[一-龥぀-ゟ゠-ヿ]+;Split:[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])"
     R"([A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" TAIL ";ByteLevel;",
     "deepseek-v3"},
    // The list of letters goes on for a page; nobody else begins one so.
    {R"(Split:[\r\n];Split:\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿ*)", "deepseek-llm"},
    {R"(Split:[\r\n];Split:\s?\p{L}+;Split:\s?\p{P}+;Split:[一-龥ࠀ-一가-퟿]+;Digits1;ByteLevel;)",
     "deepseek-coder"},
    {"Punctuation;ByteLevel+;Digits1;Split:[0-9][0-9][0-9];", "falcon"},
    {"Punctuation;ByteLevel+;Digits;Split:[0-9][0-9][0-9];", "falcon"},
    {R"(Split: ?[^(\s|[.,!?…。，、।۔،])]+;ByteLevel;)", "bloom"},
};

#undef CONTRACTIONS
#undef TAIL
#undef UPPER
#undef LOWER
#undef BEFORE

// One step as the table writes it.
std::string written(const Json& step) {
  std::string type = text_of(step, "type");
  if (type == "ByteLevel") return flag_of(step, "use_regex", true) ? "ByteLevel+" : "ByteLevel";
  if (type == "Digits") return flag_of(step, "individual_digits", false) ? "Digits1" : "Digits";
  if (type != "Split") return type;
  const Json* pattern = member(step, "pattern");
  if (pattern == nullptr) return type;
  std::string text = text_of(*pattern, "Regex");
  if (text.empty()) text = "=" + text_of(*pattern, "String");
  // Removing what matched, or keeping only it the other way round, would be another splitter.
  const std::string behavior = text_of(step, "behavior");
  const bool is_plain =
      behavior == "Isolated" || (behavior == "Removed" && flag_of(step, "invert", false));
  return (is_plain ? "Split:" : "Split(" + behavior + "):") + text;
}

bool matches(std::string_view steps, std::string_view pattern) {
  if (!pattern.ends_with('*')) return steps == pattern;
  return steps.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const Known& known : kKnown) {
    names.push_back(known.name);
    if (!known.name_ignoring_merges.empty()) names.push_back(known.name_ignoring_merges);
  }
  return names;
}

Result<std::string> name_of_pre_tokenizer(const Json& tokenizer) {
  std::string steps;
  for (const Json* step : steps_of(member(tokenizer, "pre_tokenizer"), "pretokenizers")) {
    steps += written(*step) + ";";
  }
  const Json* model = member(tokenizer, "model");
  const bool ignores_merges = model != nullptr && flag_of(*model, "ignore_merges", false);
  for (const Known& known : kKnown) {
    if (!matches(steps, known.steps)) continue;
    const bool second = ignores_merges && !known.name_ignoring_merges.empty();
    return std::string(second ? known.name_ignoring_merges : known.name);
  }
  return make_error(ErrorCode::kUnsupported,
                    "the way this tokenizer splits words has no known name: {}. If you know that "
                    "one of GGUF's names stands for it, give that with --pre NAME",
                    steps.empty() ? "(no pre_tokenizer)" : steps.substr(0, 500));
}

}  // namespace llmrun::convert
