// What the terminal at a file descriptor can do.
#pragma once

namespace llmrun {

bool is_terminal(int descriptor);
// Columns; 80 when unknown.
int terminal_width(int descriptor);
// A terminal that shows colour, and a user who did not ask for none (https://no-color.org).
bool wants_color(int descriptor);

}  // namespace llmrun
