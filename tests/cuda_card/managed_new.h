// From the call on, what a test program allocates is managed memory, if there is a card.
#pragma once

namespace llmrun::kernels {

void allocate_managed_memory();

}  // namespace llmrun::kernels
