// The expressions that the splitters of pre_tokenizer.h are made of. In the comments L, N, P, S, M
// stand for \p{L} and so on, as in the tokenizer.json files they come from.
#pragma once

#include <cstddef>
#include <string_view>

namespace llmrun::tokenizer::stages {

// 's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?[^\s L N]+|\s+(?!\S)|\s+
size_t gpt2(std::string_view text, size_t pos);

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n L N]?L+|N{1,3}| ?[^\s L N]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t llama3(std::string_view text, size_t pos);
size_t qwen2(std::string_view text, size_t pos);   // the same with N instead of N{1,3}
size_t qwen35(std::string_view text, size_t pos);  // the same with [L M] as letters
// llama3 with \s{512}(?!\S)|\s{256}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1} instead of
// \s+(?!\S)|\s+
size_t jais2(std::string_view text, size_t pos);
size_t seed_coder(std::string_view text, size_t pos);  // qwen2 without [\r\n]* after symbols

// [^\r\n L N]?[Lu Lt Lm Lo M]*[Ll Lm Lo M]+(?i:'s|…)?|[^\r\n L N]?[Lu Lt Lm Lo M]+[Ll Lm Lo M]*
// (?i:'s|…)?|N{1,3}| ?[^\s L N]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t gpt4o(std::string_view text, size_t pos);
size_t tekken(std::string_view text, size_t pos);   // the same with N, and no contractions
size_t kimi_k2(std::string_view text, size_t pos);  // the same with [\p{Han}]+| in front

// (?i:'s|…)|[^\r\n L N]?(?:L M*(?: L M*)*)+|N| ?[^\s L N]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+
size_t exaone_moe(std::string_view text, size_t pos);

// [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n L P S]?[L M]+| ?[P S]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t deepseek3(std::string_view text, size_t pos);

size_t newline(std::string_view text, size_t pos);             // [\r\n]
size_t spaced_letters(std::string_view text, size_t pos);      // \s?L+
size_t spaced_punctuation(std::string_view text, size_t pos);  // \s?P+
size_t deepseek_letters(std::string_view text, size_t pos);    // \s?[A-Za-zµÀ-Ö…]+
size_t deepseek_symbols(std::string_view text, size_t pos);  // \s?[!-/:-~！-／：-～‘-‟　-。]+
size_t trailing_space(std::string_view text, size_t pos);      // \s+$
size_t deepseek_cjk(std::string_view text, size_t pos);        // [一-龥ࠀ-一가-퟿]+
size_t deepseek3_cjk(std::string_view text, size_t pos);       // [一-龥぀-ゟ゠-ヿ]+
size_t one_number(std::string_view text, size_t pos);          // N
size_t three_numbers(std::string_view text, size_t pos);       // N{1,3}
size_t numbers(std::string_view text, size_t pos);             // N+
size_t three_digits(std::string_view text, size_t pos);        // [0-9][0-9][0-9]
size_t thousands(std::string_view text, size_t pos);           // (?=(\d{3})+(?!\d))
size_t digit_groups(std::string_view text, size_t pos);        // \d{1,3}(?=(?:\d{3})*\b)
size_t lines(std::string_view text, size_t pos);               // [^\n]+|[\n]+
size_t punctuation(std::string_view text, size_t pos);         // [P\$\+<=>\^~\|]+
size_t falcon_punctuation(std::string_view text, size_t pos);  // [P\$\+<=>\^~\|`]+
size_t bloom(std::string_view text, size_t pos);               // ?[^(\s|.,!?…。，、।۔،)]+

}  // namespace llmrun::tokenizer::stages
