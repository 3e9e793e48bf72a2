// How deep a JSON text nests, told before a parser builds it: walks over a document and copies of
// it recurse, so text from outside may not decide how deep.
#pragma once

#include <string_view>

namespace llmrun {

// Whether brackets outside strings nest deeper than max_depth. Of a text that is no JSON it tells
// what a parser would meet until it stops, or more.
bool json_is_deeper_than(std::string_view text, int max_depth);

}  // namespace llmrun
