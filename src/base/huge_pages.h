// Asking for memory in pages of 2 MiB: large buffers and mapped files are read faster through them.
#pragma once

#include <sys/mman.h>

#include <cstdint>

namespace llmrun {

// A hint for a whole mapping, given from 8 MiB on; never an error.
inline void prefer_huge_pages([[maybe_unused]] void* address, [[maybe_unused]] uint64_t n_bytes) {
#ifdef MADV_HUGEPAGE
  if (n_bytes >= uint64_t{8} << 20) (void)::madvise(address, n_bytes, MADV_HUGEPAGE);
#endif
}

}  // namespace llmrun
