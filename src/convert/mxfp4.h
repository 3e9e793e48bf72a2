// MXFP4 as gpt-oss stores it: 32 values in 16 bytes, neighbours in one byte, the scales apart.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "convert/conversion.h"

namespace llmrun::convert {

// "<from>_blocks" and "<from>_scales", which stand for values of the shape `stored`, become the
// tensor `to` of the shape `shape`, whose row i is row source(i). Stays packed unless the user
// asked for a type.
void add_mxfp4(Conversion& c, const std::string& from, std::string to,
               const std::vector<int64_t>& stored, const std::vector<int64_t>& shape,
               const std::function<int64_t(int64_t)>& source);

}  // namespace llmrun::convert
