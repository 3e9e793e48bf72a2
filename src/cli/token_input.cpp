// Parses lists of token ids.
#include "cli/token_input.h"

#include <charconv>

#include "base/error.h"

namespace llmrun::cli {

Result<std::vector<TokenId>> parse_ids(std::string_view text) {
  constexpr std::string_view kSeparators = " \t\r\n,[]";
  std::vector<TokenId> ids;
  for (size_t i = text.find_first_not_of(kSeparators); i < text.size();
       i = text.find_first_not_of(kSeparators, i)) {
    const size_t end = std::min(text.find_first_of(kSeparators, i), text.size());
    const std::string_view word = text.substr(i, end - i);
    TokenId id = 0;
    const auto [stop, status] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (status != std::errc() || stop != word.data() + word.size() || id < 0) {
      return make_error(ErrorCode::kUsage,
                        "'{}' is no token id; write ids as numbers separated by spaces",
                        word.substr(0, 40));
    }
    ids.push_back(id);
    i = end;
  }
  return ids;
}

}  // namespace llmrun::cli
