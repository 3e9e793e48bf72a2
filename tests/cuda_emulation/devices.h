// How many devices the emulation has, and what is held of each: a device's kernels reach its own
// memory and the host's only, and a thread has to say which device it speaks to.
#pragma once

#include <cstddef>

namespace cuda_emulation {

// Of the machine; 1 at first. Each has Options::device_bytes.
int& device_count();
// Bytes that cudaMalloc has handed out on a device and not got back.
size_t allocated_bytes(int device);
// The same of pinned memory, and how many streams, events and graphs there are.
size_t pinned_bytes();
size_t live_handles();

}  // namespace cuda_emulation
