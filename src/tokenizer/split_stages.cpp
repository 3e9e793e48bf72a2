// The matchers, without a regular expression library: the expressions need look-ahead and
// backtracking, but each of them has one possible match per position that a scan can find.
// Every stage takes time linear in the piece it returns, except for white space, which may be
// scanned once more.
#include "tokenizer/split_stages.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "tokenizer/characters.h"

namespace llmrun::tokenizer::stages {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

template <size_t n>
bool in_ranges(const Range (&ranges)[n], uint32_t code) {
  const Range* range =
      std::lower_bound(std::begin(ranges), std::end(ranges), code,
                       [](const Range& r, uint32_t value) { return r.last < value; });
  return range != std::end(ranges) && range->first <= code;
}

// Letters with case, as listed in the tokenizer.json of deepseek-llm.
constexpr Range kCasedLetters[] = {
    {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},
    {0xD8, 0xF6},       {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},
    {0x295, 0x2AF},     {0x370, 0x373},     {0x376, 0x376},     {0x377, 0x377},
    {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},
    {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},
    {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},
    {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},
    {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},
    {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},
    {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},
    {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},
    {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},
    {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},
    {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},
    {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},
    {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2183},
    {0x2184, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},
    {0x2CF2, 0x2CF2},   {0x2CF3, 0x2CF3},   {0xA640, 0xA66D},   {0xA680, 0xA69B},
    {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},   {0xAB70, 0xABBF},
    {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
    {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2},
    {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943}};

// Script Han.
constexpr Range kHan[] = {{0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},
                          {0x3005, 0x3005},   {0x3007, 0x3007},   {0x3021, 0x3029},
                          {0x3038, 0x303B},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
                          {0xF900, 0xFA6D},   {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3},
                          {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B739},
                          {0x2B740, 0x2B81D}, {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0},
                          {0x2F800, 0x2FA1D}, {0x30000, 0x3134A}, {0x31350, 0x323AF}};

// The end of a match at `pos`, or `pos` where there is none.
using Matcher = size_t (*)(std::string_view text, size_t pos);

// The piece at `pos`: a match, or all up to the next match. A matcher must fail in constant time.
template <Matcher matcher>
size_t with_gaps(std::string_view text, size_t pos) {
  size_t end = matcher(text, pos);
  if (end != pos) return end;
  while (pos < text.size() && matcher(text, pos) == pos) pos += character_at(text, pos).length;
  return pos;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) or, case sensitive, its lower-case form.
template <bool ignore_case>
size_t contraction(std::string_view text, size_t pos) {
  if (pos + 1 >= text.size() || text[pos] != '\'') return pos;
  const auto letter = [&](size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  };
  const char first = letter(pos + 1);
  const char second = letter(pos + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l')) {
    return pos + 3;
  }
  return pos;
}

size_t previous(std::string_view text, size_t begin, size_t end) {
  size_t pos = end - 1;
  while (pos > begin && (static_cast<unsigned char>(text[pos]) & 0xC0U) == 0x80U) --pos;
  return pos;
}

// \s+(?!\S)|\s+ at a white space: all of the run, but the last one is left for the next word.
size_t white_space(std::string_view text, size_t pos) {
  const size_t end = run_of(text, pos, kSpace);
  if (end == text.size()) return end;
  const size_t last = previous(text, pos, end);
  return last > pos ? last : end;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ at a white space: through the last newline of the run, if it has one.
size_t newlines_or_space(std::string_view text, size_t pos) {
  size_t end = pos;
  size_t after_newline = pos;
  while (end < text.size()) {
    const Character c = character_at(text, end);
    if ((c.classes & kSpace) == 0) break;
    end += c.length;
    if ((c.classes & kNewline) != 0) after_newline = end;
  }
  if (after_newline > pos) return after_newline;
  if (end == text.size()) return end;
  const size_t last = previous(text, pos, end);
  return last > pos ? last : end;
}

// \s*[\r\n]+, then \s{512}(?!\S)|\s{256}(?!\S)|…|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1} at a white space.
size_t newlines_or_halved_space(std::string_view text, size_t pos) {
  // After white space that is no newline the run has been looked at, and has no newline.
  const bool is_known = pos > 0 && (character_at(text, previous(text, 0, pos)).classes &
                                    (kSpace | kNewline)) == kSpace;
  if (!is_known) {
    const size_t end = newlines_or_space(text, pos);
    if ((character_at(text, previous(text, pos, end)).classes & kNewline) != 0) return end;
  }
  std::array<size_t, 514> ends = {pos};  // of as many characters
  size_t n = 0;
  while (n < 513 && ends[n] < text.size()) {
    const Character c = character_at(text, ends[n]);
    if ((c.classes & kSpace) == 0) break;
    ends[n + 1] = ends[n] + c.length;
    ++n;
  }
  const bool at_end = ends[n] == text.size();
  for (const size_t most : {512U, 256U, 128U, 64U, 32U, 16U, 8U, 4U, 2U}) {
    if (n > most || (n == most && at_end)) return ends[most];
  }
  return ends[1];
}

bool is_decimal_digit(const Character& c) {
  if (c.code < 0x80) return c.code >= '0' && c.code <= '9';
  return (c.classes & kNumber) != 0 &&
         utf8proc_category(static_cast<utf8proc_int32_t>(c.code)) == UTF8PROC_CATEGORY_ND;
}

size_t numbers_up_to(std::string_view text, size_t pos, unsigned most) {
  for (unsigned i = 0; i < most && pos < text.size(); ++i) {
    const Character c = character_at(text, pos);
    if ((c.classes & kNumber) == 0) break;
    pos += c.length;
  }
  return pos;
}

size_t skip_any_of(std::string_view text, size_t pos, std::string_view set) {
  while (pos < text.size() && set.find(text[pos]) != std::string_view::npos) ++pos;
  return pos;
}

// ` ?[^excluded]+[trailing]*`, where `c` stands at `pos`.
size_t symbols(std::string_view text, size_t pos, Character c, ClassMask excluded,
               std::string_view trailing) {
  size_t start = pos;
  if (c.code == ' ') {
    start = pos + 1;
    if (start == text.size()) return pos;
    c = character_at(text, start);
  }
  if ((c.classes & excluded) != 0) return pos;
  return skip_any_of(text, run_without(text, start + c.length, excluded), trailing);
}

// Where the expressions after cl100k_base differ from each other.
struct WordRule {
  ClassMask letters = kLetter;
  unsigned most_digits = 1;
  bool newlines_after_symbols = true;
  bool halved_space = false;
};

template <WordRule rule>
size_t words(std::string_view text, size_t pos) {
  const size_t contracted = contraction<true>(text, pos);
  if (contracted != pos) return contracted;
  const Character c = character_at(text, pos);
  const size_t next = pos + c.length;
  if ((c.classes & rule.letters) != 0) return run_of(text, next, rule.letters);
  if ((c.classes & (kNewline | kNumber)) == 0 && next < text.size()) {
    const Character second = character_at(text, next);
    if ((second.classes & rule.letters) != 0) {
      return run_of(text, next + second.length, rule.letters);
    }
  }
  if ((c.classes & kNumber) != 0) return numbers_up_to(text, pos, rule.most_digits);
  const size_t end = symbols(text, pos, c, kSpace | kNumber | rule.letters,
                             rule.newlines_after_symbols ? "\r\n" : "");
  if (end != pos) return end;
  return rule.halved_space ? newlines_or_halved_space(text, pos) : newlines_or_space(text, pos);
}

// How o200k_base and its relatives differ.
struct CasedRule {
  unsigned most_digits = 3;
  bool contractions = true;
  bool without_han = false;
};

// The ends of the two forms of a word at one position; the position itself where there is none.
struct CasedEnds {
  size_t ends_lower;  // [upper]*[lower]+
  size_t ends_upper;  // [upper]+[lower]*
};

// Letters without case and marks are in both sets. A regular expression engine takes all of
// [upper]* and gives back until [lower]+ can begin: up to the last character that is in both.
template <bool without_han>
CasedEnds cased_word(std::string_view text, size_t pos) {
  constexpr ClassMask kBoth = kOtherLetter | kMark;
  const auto is = [](const Character& c, ClassMask mask) {
    return (c.classes & mask) != 0 && !(without_han && in_ranges(kHan, c.code));
  };
  size_t upper_end = pos;
  size_t both_end = pos;  // the end of the last character that is in both sets
  Character c{};
  while (upper_end < text.size() && is(c = character_at(text, upper_end), kUpper | kBoth)) {
    upper_end += c.length;
    if (is(c, kBoth)) both_end = upper_end;
  }
  size_t lower_end = upper_end;
  while (lower_end < text.size() && is(c = character_at(text, lower_end), kLower | kBoth)) {
    lower_end += c.length;
  }
  return {lower_end > upper_end ? lower_end : both_end, upper_end};
}

template <CasedRule rule>
size_t cased_words(std::string_view text, size_t pos) {
  const Character c = character_at(text, pos);
  if constexpr (rule.without_han) {
    size_t han = pos;
    for (Character h = c; in_ranges(kHan, h.code);) {
      han += h.length;
      if (han == text.size()) break;
      h = character_at(text, han);
    }
    if (han > pos) return han;
  }
  // The optional character in front, [^\r\n L N]?, is tried before its absence in each form.
  const size_t start = (c.classes & (kNewline | kLetter | kNumber)) == 0 ? pos + c.length : pos;
  const CasedEnds after = cased_word<rule.without_han>(text, start);
  const CasedEnds here = start == pos || (c.classes & kMark) == 0
                             ? CasedEnds{pos, pos}
                             : cased_word<rule.without_han>(text, pos);
  size_t end = pos;
  if (after.ends_lower > start) {
    end = after.ends_lower;
  } else if (here.ends_lower > pos) {
    end = here.ends_lower;
  } else if (after.ends_upper > start) {
    end = after.ends_upper;
  }
  if (end != pos) {
    return rule.contractions && end < text.size() ? contraction<true>(text, end) : end;
  }
  if ((c.classes & kNumber) != 0) return numbers_up_to(text, pos, rule.most_digits);
  end = symbols(text, pos, c, kSpace | kLetter | kNumber, "\r\n/");
  return end != pos ? end : newlines_or_space(text, pos);
}

// [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n L P S]?[L M]+| ?[P S]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t deepseek3_match(std::string_view text, size_t pos) {
  constexpr ClassMask kWord = kLetter | kMark;
  constexpr ClassMask kSymbols = kPunctuation | kSymbol;
  const auto is_ascii_letter = [&](size_t i) {
    return i < text.size() &&
           ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z'));
  };
  const Character c = character_at(text, pos);
  const size_t next = pos + c.length;
  if (c.code < 0x80 && (c.classes & kSymbols) != 0 && is_ascii_letter(next)) {
    size_t end = next;
    while (is_ascii_letter(end)) ++end;
    return end;
  }
  if ((c.classes & kWord) != 0) return run_of(text, next, kWord);
  if ((c.classes & (kNewline | kSymbols)) == 0 && next < text.size()) {
    const Character second = character_at(text, next);
    if ((second.classes & kWord) != 0) return run_of(text, next + second.length, kWord);
  }
  size_t start = pos;
  if (c.code == ' ' && next < text.size()) start = next;
  if ((character_at(text, start).classes & kSymbols) != 0) {
    return skip_any_of(text, run_of(text, start, kSymbols), "\r\n");
  }
  return (c.classes & kSpace) != 0 ? newlines_or_space(text, pos) : pos;
}

size_t newline_match(std::string_view text, size_t pos) {
  return text[pos] == '\r' || text[pos] == '\n' ? pos + 1 : pos;
}

// The run from `pos` on of characters for which is_member(character) holds.
template <typename Predicate>
size_t run_if(std::string_view text, size_t pos, Predicate is_member) {
  while (pos < text.size()) {
    const Character c = character_at(text, pos);
    if (!is_member(c)) break;
    pos += c.length;
  }
  return pos;
}

// \s?[member]+
template <typename Predicate>
size_t spaced_run(std::string_view text, size_t pos, Predicate is_member) {
  const Character c = character_at(text, pos);
  const size_t start = (c.classes & kSpace) != 0 ? pos + c.length : pos;
  const size_t end = run_if(text, start, is_member);
  return end > start ? end : pos;
}

size_t spaced_letters_match(std::string_view text, size_t pos) {
  return spaced_run(text, pos, [](const Character& c) { return (c.classes & kLetter) != 0; });
}

size_t spaced_punctuation_match(std::string_view text, size_t pos) {
  return spaced_run(text, pos, [](const Character& c) { return (c.classes & kPunctuation) != 0; });
}

size_t deepseek_letters_match(std::string_view text, size_t pos) {
  return spaced_run(text, pos, [](const Character& c) { return in_ranges(kCasedLetters, c.code); });
}

size_t deepseek_symbols_match(std::string_view text, size_t pos) {
  static constexpr Range kRanges[] = {{0x21, 0x2F},     {0x3A, 0x7E},     {0x2018, 0x201F},
                                      {0x3000, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}};
  return spaced_run(text, pos, [](const Character& c) { return in_ranges(kRanges, c.code); });
}

size_t deepseek_cjk_match(std::string_view text, size_t pos) {
  static constexpr Range kRanges[] = {{0x0800, 0x9FA5}, {0xAC00, 0xD7FF}};
  return run_if(text, pos, [](const Character& c) { return in_ranges(kRanges, c.code); });
}

size_t deepseek3_cjk_match(std::string_view text, size_t pos) {
  static constexpr Range kRanges[] = {{0x3040, 0x30FF}, {0x4E00, 0x9FA5}};
  return run_if(text, pos, [](const Character& c) { return in_ranges(kRanges, c.code); });
}

size_t one_number_match(std::string_view text, size_t pos) { return numbers_up_to(text, pos, 1); }

size_t three_numbers_match(std::string_view text, size_t pos) {
  return numbers_up_to(text, pos, 3);
}

size_t numbers_match(std::string_view text, size_t pos) { return run_of(text, pos, kNumber); }

size_t three_digits_match(std::string_view text, size_t pos) {
  const auto is_digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  const bool three =
      text.size() - pos >= 3 && is_digit(pos) && is_digit(pos + 1) && is_digit(pos + 2);
  return three ? pos + 3 : pos;
}

template <bool with_backtick>
size_t punctuation_match(std::string_view text, size_t pos) {
  return run_if(text, pos, [](const Character& c) {
    if ((c.classes & kPunctuation) != 0) return true;
    return c.code < 0x80 && (c.classes & kSymbol) != 0 && (with_backtick || c.code != '`');
  });
}

size_t bloom_match(std::string_view text, size_t pos) {
  const auto is_member = [](const Character& c) {
    if ((c.classes & kSpace) != 0) return false;
    if (c.code < 0x80)
      return std::string_view("(|.,!?)").find(static_cast<char>(c.code)) == std::string_view::npos;
    constexpr uint32_t kExcluded[] = {0x2026, 0x3002, 0xFF0C, 0x3001, 0x0964, 0x06D4, 0x060C};
    return std::find(std::begin(kExcluded), std::end(kExcluded), c.code) == std::end(kExcluded);
  };
  const size_t start = text[pos] == ' ' ? pos + 1 : pos;
  const size_t end = run_if(text, start, is_member);
  return end > start ? end : pos;
}

}  // namespace

size_t gpt2(std::string_view text, size_t pos) {
  const size_t contracted = contraction<false>(text, pos);
  if (contracted != pos) return contracted;
  const Character first = character_at(text, pos);
  size_t start = pos;
  Character c = first;
  if (first.code == ' ' && pos + 1 < text.size()) {
    start = pos + 1;
    c = character_at(text, start);
  }
  if ((c.classes & kLetter) != 0) return run_of(text, start + c.length, kLetter);
  if ((c.classes & kNumber) != 0) return run_of(text, start + c.length, kNumber);
  if ((c.classes & kSpace) != 0) return white_space(text, pos);
  return run_without(text, start + c.length, kSpace | kLetter | kNumber);
}

size_t llama3(std::string_view text, size_t pos) {
  return words<WordRule{kLetter, 3, true}>(text, pos);
}

size_t jais2(std::string_view text, size_t pos) {
  return words<WordRule{kLetter, 3, true, true}>(text, pos);
}

size_t exaone_moe(std::string_view text, size_t pos) {
  const size_t contracted = contraction<true>(text, pos);
  if (contracted != pos) return contracted;
  const auto is_letter = [&](size_t at) {
    return at < text.size() && (character_at(text, at).classes & kLetter) != 0;
  };
  const Character c = character_at(text, pos);
  size_t end = pos;
  if (is_letter(pos) || ((c.classes & (kNewline | kNumber)) == 0 && is_letter(pos + c.length))) {
    end += c.length;
    while (end < text.size()) {  // words with one space between them
      if (is_letter(end) || (text[end] == ' ' && is_letter(end + 1))) {
        end += character_at(text, end).length;
      } else {
        const size_t after_marks = end > pos ? run_of(text, end, kMark) : end;
        if (after_marks == end || !is_letter(previous(text, pos, end))) break;
        end = after_marks;
      }
    }
    return end;
  }
  if ((c.classes & kNumber) != 0) return pos + c.length;
  end = symbols(text, pos, c, kSpace | kLetter | kNumber, "");
  if (end == pos) return newlines_or_space(text, pos);
  return end < text.size() && (text[end] == '\r' || text[end] == '\n') ? end + 1 : end;
}

size_t qwen2(std::string_view text, size_t pos) {
  return words<WordRule{kLetter, 1, true}>(text, pos);
}

size_t qwen35(std::string_view text, size_t pos) {
  return words<WordRule{kLetter | kMark, 1, true}>(text, pos);
}

size_t seed_coder(std::string_view text, size_t pos) {
  return words<WordRule{kLetter, 1, false}>(text, pos);
}

size_t gpt4o(std::string_view text, size_t pos) {
  return cased_words<CasedRule{3, true, false}>(text, pos);
}

size_t tekken(std::string_view text, size_t pos) {
  return cased_words<CasedRule{1, false, false}>(text, pos);
}

size_t kimi_k2(std::string_view text, size_t pos) {
  return cased_words<CasedRule{3, true, true}>(text, pos);
}

size_t deepseek3(std::string_view text, size_t pos) {
  return with_gaps<deepseek3_match>(text, pos);
}

size_t newline(std::string_view text, size_t pos) { return with_gaps<newline_match>(text, pos); }

size_t spaced_letters(std::string_view text, size_t pos) {
  return with_gaps<spaced_letters_match>(text, pos);
}

size_t spaced_punctuation(std::string_view text, size_t pos) {
  return with_gaps<spaced_punctuation_match>(text, pos);
}

size_t deepseek_letters(std::string_view text, size_t pos) {
  return with_gaps<deepseek_letters_match>(text, pos);
}

size_t deepseek_symbols(std::string_view text, size_t pos) {
  return with_gaps<deepseek_symbols_match>(text, pos);
}

size_t trailing_space(std::string_view text, size_t pos) {
  size_t begin = text.size();
  while (begin > pos) {
    const size_t last = previous(text, pos, begin);
    if ((character_at(text, last).classes & kSpace) == 0) break;
    begin = last;
  }
  return begin > pos ? begin : text.size();
}

size_t deepseek_cjk(std::string_view text, size_t pos) {
  return with_gaps<deepseek_cjk_match>(text, pos);
}

size_t deepseek3_cjk(std::string_view text, size_t pos) {
  return with_gaps<deepseek3_cjk_match>(text, pos);
}

size_t one_number(std::string_view text, size_t pos) {
  return with_gaps<one_number_match>(text, pos);
}

size_t three_numbers(std::string_view text, size_t pos) {
  return with_gaps<three_numbers_match>(text, pos);
}

size_t numbers(std::string_view text, size_t pos) { return with_gaps<numbers_match>(text, pos); }

size_t three_digits(std::string_view text, size_t pos) {
  return with_gaps<three_digits_match>(text, pos);
}

// A border before every group of three digits, counted from the end of a run of digits.
size_t thousands(std::string_view text, size_t pos) {
  const auto is_digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  // Inside a run a multiple of three is left, because its first piece took the others.
  if (pos > 0 && is_digit(pos - 1) && is_digit(pos)) return pos + 3;
  size_t digits = pos;
  while (digits < text.size() && !is_digit(digits)) ++digits;
  size_t end = digits;
  while (end < text.size() && is_digit(end)) ++end;
  const size_t first = (end - digits) % 3;
  if (digits == pos) return first == 0 ? pos + 3 : pos + first;
  return digits + (end - digits < 3 ? end - digits : first);
}

size_t digit_groups(std::string_view text, size_t pos) {
  const auto run_of_digits = [&](size_t begin, size_t& n) {
    size_t end = begin;
    for (n = 0; end < text.size(); ++n) {
      const Character c = character_at(text, end);
      if (!is_decimal_digit(c)) break;
      end += c.length;
    }
    return end;
  };
  const auto skip = [&](size_t at, size_t n) {
    for (; n > 0; --n) at += character_at(text, at).length;
    return at;
  };
  // Inside a run a multiple of three is left, because its first piece took the others.
  if (pos > 0 && is_decimal_digit(character_at(text, pos)) &&
      is_decimal_digit(character_at(text, previous(text, 0, pos)))) {
    return skip(pos, 3);
  }
  for (size_t at = pos; at < text.size();) {
    size_t n = 0;
    const size_t end = run_of_digits(at, n);
    if (n == 0) {
      at += character_at(text, at).length;
      continue;
    }
    const bool in_word =
        end < text.size() &&
        ((character_at(text, end).classes & (kLetter | kMark | kNumber)) != 0 || text[end] == '_');
    if (!in_word) return at == pos ? skip(pos, n % 3 == 0 ? 3 : n % 3) : at;
    at = end;
  }
  return text.size();
}

size_t lines(std::string_view text, size_t pos) {
  const bool is_newline = text[pos] == '\n';
  const size_t end = is_newline ? text.find_first_not_of('\n', pos) : text.find('\n', pos);
  return std::min(end, text.size());
}

size_t punctuation(std::string_view text, size_t pos) {
  return with_gaps<punctuation_match<false>>(text, pos);
}

size_t falcon_punctuation(std::string_view text, size_t pos) {
  return with_gaps<punctuation_match<true>>(text, pos);
}

size_t bloom(std::string_view text, size_t pos) { return with_gaps<bloom_match>(text, pos); }

}  // namespace llmrun::tokenizer::stages
