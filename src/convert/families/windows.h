// Sliding windows that some layers have.
#pragma once

#include "convert/families/common.h"

namespace llmrun::convert {

// attention.sliding_window, and the pattern when it is not "every period-th layer is full", which
// readers assume.
void add_windows(Conversion& c, const Decoder& d, int64_t period);

}  // namespace llmrun::convert
