// The table of splitters: one line per name that tokenizer.ggml.pre may have.
#include "tokenizer/pre_tokenizer.h"

#include "base/error.h"
#include "tokenizer/split_stages.h"

namespace llmrun::tokenizer {
namespace {

using namespace stages;  // NOLINT(google-build-using-namespace): the table reads as the formats do

constexpr PreTokenizer kGpt2{{gpt2}};
constexpr PreTokenizer kGpt2Digits{{one_number, gpt2}};
constexpr PreTokenizer kLlama3{{llama3}, true, true};
constexpr PreTokenizer kCl100k{{llama3}};
constexpr PreTokenizer kMiniCpm5{{three_numbers, llama3}, true};
constexpr PreTokenizer kJais2{{jais2}};
constexpr PreTokenizer kQwen2{{qwen2}};
constexpr PreTokenizer kLaguna{{lines, qwen2}};
constexpr PreTokenizer kExaoneMoe{{exaone_moe}};
constexpr PreTokenizer kQwen35{{qwen35}};
constexpr PreTokenizer kSeedCoder{{seed_coder}};
constexpr PreTokenizer kGpt4o{{gpt4o}};
constexpr PreTokenizer kGpt4oWhole{{gpt4o}, true};
constexpr PreTokenizer kTinyAya{{digit_groups, gpt4o}};
constexpr PreTokenizer kTekken{{tekken}, true, true};
constexpr PreTokenizer kKimiK2{{kimi_k2}};
constexpr PreTokenizer kDeepseekLlm{
    {newline, deepseek_letters, deepseek_symbols, trailing_space, deepseek_cjk, numbers}};
constexpr PreTokenizer kDeepseekCoder{
    {newline, spaced_letters, spaced_punctuation, deepseek_cjk, one_number}};
constexpr PreTokenizer kDeepseek3{{three_numbers, deepseek3_cjk, deepseek3}};
constexpr PreTokenizer kFalcon{{falcon_punctuation, gpt2, three_digits}};
constexpr PreTokenizer kDefault{{punctuation, gpt2, numbers, three_digits}};
constexpr PreTokenizer kBloom{{bloom}};
constexpr PreTokenizer kViking{{bloom, one_number}};
constexpr PreTokenizer kSuperBpe{{numbers, thousands}};

struct Name {
  std::string_view name;
  const PreTokenizer* pre;
};

constexpr Name kNames[] = {
    {"default", &kDefault},
    {"gpt-2", &kGpt2},
    {"phi-2", &kGpt2},
    {"mpt", &kGpt2},
    {"olmo", &kGpt2},
    {"jais", &kGpt2},
    {"trillion", &kGpt2},
    {"granite-docling", &kGpt2},
    {"exaone4", &kGpt2},
    {"jina-es", &kGpt2},
    {"jina-de", &kGpt2},
    {"jina-v1-en", &kGpt2},
    {"jina-v2-es", &kGpt2},
    {"jina-v2-de", &kGpt2},
    {"jina-v2-code", &kGpt2},
    {"roberta-bpe", &kGpt2},
    {"gigachat", &kGpt2},
    {"a.x-4.0", &kGpt2},
    {"mellum", &kGpt2},
    {"modern-bert", &kGpt2},
    {"starcoder", &kGpt2Digits},
    {"refact", &kGpt2Digits},
    {"command-r", &kGpt2Digits},
    {"smollm", &kGpt2Digits},
    {"codeshell", &kGpt2Digits},
    {"exaone", &kGpt2Digits},
    {"minerva-7b", &kGpt2Digits},
    {"mellum2", &kGpt2Digits},
    {"llama-bpe", &kLlama3},
    {"llama3", &kLlama3},
    {"llama-v3", &kLlama3},
    {"falcon3", &kLlama3},
    {"falcon-h1", &kLlama3},
    {"pixtral", &kLlama3},
    {"midm-2.0", &kLlama3},
    {"lfm2", &kLlama3},
    {"jina-v5-nano", &kLlama3},
    {"minicpm5", &kMiniCpm5},
    {"jais-2", &kJais2},
    {"dbrx", &kCl100k},
    {"smaug-bpe", &kCl100k},
    {"glm4", &kCl100k},
    {"chatglm-bpe", &kCl100k},
    {"qwen2", &kQwen2},
    {"deepseek-r1-qwen", &kQwen2},
    {"kormo", &kQwen2},
    {"megrez", &kQwen2},
    {"stablelm2", &kQwen2},
    {"hunyuan", &kQwen2},
    {"bailingmoe", &kQwen2},
    {"bailingmoe2", &kQwen2},
    {"llada-moe", &kQwen2},
    {"grok-2", &kQwen2},
    {"f2llmv2", &kQwen2},
    {"solar-open", &kQwen2},
    {"laguna", &kLaguna},
    {"exaone-moe", &kExaoneMoe},
    {"qwen35", &kQwen35},
    {"seed-coder", &kSeedCoder},
    {"gpt-4o", &kGpt4o},
    {"llama4", &kGpt4o},
    {"kanana2", &kGpt4o},
    {"minimax-m2", &kGpt4o},
    {"talkie", &kGpt4o},
    {"granite-embed-multi-97m", &kGpt4oWhole},
    {"tiny_aya", &kTinyAya},
    {"cohere2moe", &kTinyAya},
    {"tekken", &kTekken},
    {"kimi-k2", &kKimiK2},
    {"deepseek-llm", &kDeepseekLlm},
    {"deepseek-coder", &kDeepseekCoder},
    {"deepseek-v3", &kDeepseek3},
    {"hunyuan-dense", &kDeepseek3},
    {"joyai-llm", &kDeepseek3},
    {"falcon", &kFalcon},
    {"bloom", &kBloom},
    {"poro-chat", &kBloom},
    {"gpt3-finnish", &kBloom},
    {"viking", &kViking},
    {"superbpe", &kSuperBpe},
};

std::string known_names() {
  std::string names;
  for (const Name& entry : kNames) {
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

}  // namespace

Result<const PreTokenizer*> find_pre_tokenizer(std::string_view name) {
  for (const Name& entry : kNames) {
    if (entry.name == name) return entry.pre;
  }
  if (name.empty()) {
    return make_error(ErrorCode::kUnsupported,
                      "the file does not say how its tokenizer splits words "
                      "(tokenizer.ggml.pre is missing): convert the model again, or write the key "
                      "with one of: {}",
                      known_names());
  }
  return make_error(ErrorCode::kUnsupported,
                    "unknown pre-tokenizer \"{}\" (tokenizer.ggml.pre); known are: {}", name,
                    known_names());
}

}  // namespace llmrun::tokenizer
