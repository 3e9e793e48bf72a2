// How far two names are apart, for "did you mean …?".
#pragma once

#include <cstddef>
#include <string_view>

namespace llmrun {

// Levenshtein distance: the fewest single characters to insert, delete or replace. O(|a| * |b|);
// for names, not for texts.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace llmrun
