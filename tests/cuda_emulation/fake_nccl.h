// What a test tells the NCCL of the emulation to do, and asks it. The library is loaded when the
// program runs, as NCCL's is, so this is reached through fake_nccl().
#pragma once

#include <cstddef>

#ifndef LLMRUN_FAKE_NCCL_VERSION
#define LLMRUN_FAKE_NCCL_VERSION 22707  // 2.27.7
#endif

struct FakeNccl {
  int version = LLMRUN_FAKE_NCCL_VERSION;
  int init_result = 0;    // of ncclCommInitAll
  int failing_rank = -1;  // whose call number `failing_call` (from 0) returns an internal error
  size_t failing_call = 0;
  bool wrong_values = false;
  bool async_error = false;  // what ncclCommGetAsyncError tells
  // So far.
  size_t n_calls = 0;      // of ncclAllGather, by all ranks
  size_t n_exchanges = 0;  // that were done, counted once for each rank
  size_t n_aborted = 0;    // communicators
  int n_open = 0;          // communicators
};
