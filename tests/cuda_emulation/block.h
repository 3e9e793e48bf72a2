// Runs the blocks of a launch one after the other; the threads of a block are fibers that give way
// where a kernel waits for other threads. What a kernel may not do is an Error that says where:
// threads that meet at different places or not at all, lanes that take part without being named,
// writes beyond a shared array. Shared memory holds NaNs when a block begins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stdexcept>

namespace cuda_emulation {

using Location = std::source_location;

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Index {
  unsigned x = 1, y = 1, z = 1;
};

// Which of the threads that could run goes next. kPriority gives every warp and thread a random
// rank for the length of a block, so some run far ahead of others: that finds missing barriers
// which a new choice at every step would hardly ever find.
enum class Order : uint8_t { kAscending, kDescending, kPriority };

struct Options {
  Order order = Order::kPriority;
  uint64_t seed = 1;
  // Work is queued until the host waits for the stream, as on a device: finds host code that reads
  // results too early or reuses what it has handed over.
  bool deferred = false;
  // The host cannot touch device memory (it faults).
  bool closed_memory = false;
  // A cudaMalloc beyond this fails.
  size_t device_bytes = size_t{4} << 30;
  // Recording a graph fails.
  bool no_graphs = false;
};
Options& options();

// Runs `kernel` as every thread of the grid.
void run_grid(Index grid, Index block, size_t shared_bytes, const std::function<void()>& kernel);
// How often so far.
size_t launch_count();

// ---- called by device code ---------------------------------------------------------------------

unsigned lane();
void sync_threads(const Location& where);
// Lanes of `mask` meet; the last to come calls finish(frames of all 32 lanes, mask of the present).
using Finish = void (*)(void* const* frames, unsigned present);
void meet(unsigned mask, const char* name, const Location& where, void* frame, Finish finish);
[[noreturn]] void fail(const char* message);
// The array of `bytes` bytes at `offset` of the block's shared memory, with a forbidden gap of
// kGapBytes after it.
inline constexpr size_t kGapBytes = 64;
std::byte* shared_array(size_t offset, size_t bytes);

// ---- called by what else is emulated (async.cpp) -----------------------------------------------

// The thread goes on some time after the next notify(), and looks again whether what it waits for
// has come.
void wait_for_notice(const char* name, const Location& where);
void notify();
std::byte* shared_byte(size_t offset);
size_t shared_offset(const void* p);  // a fault when p lies elsewhere
uint64_t block_number();              // among all blocks so far

}  // namespace cuda_emulation
