// The table of families: which function converts which class of Hugging Face models.
#pragma once

#include <string_view>
#include <vector>

#include "convert/conversion.h"

namespace llmrun::convert {

using ConvertFamily = void (*)(Conversion&);

// Null when families.def has no such line.
ConvertFamily find_family(std::string_view class_name);
std::vector<std::string_view> family_names();

}  // namespace llmrun::convert
