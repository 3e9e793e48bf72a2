// Sliding windows that some layers have.
#pragma once

#include "convert/families/common.h"

namespace llmrun::convert {

// attention.sliding_window, and the pattern when it is not "every period-th layer is full", which
// readers assume.
void add_windows(Conversion& c, const Decoder& d, int64_t period);

// For families whose readers know no window: tells the user when the model has a shorter one than
// its context.
void leave_out_window(Conversion& c);

}  // namespace llmrun::convert
