// The scheduler of a block's threads, and where they meet.
#include "cuda_emulation/block.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "cuda_emulation/cuda.h"
#include "cuda_emulation/fiber.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

Index3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_emulation {
namespace {

constexpr unsigned kWarp = 32;
constexpr size_t kMaxShared = 99 * 1024;  // what every card of the list has for one block
constexpr unsigned char kGapByte = 0xa5;

std::string text(const char* name, const Location& where) {
  const char* const slash = std::strrchr(where.file_name(), '/');
  return std::string(name) + " at " + (slash != nullptr ? slash + 1 : where.file_name()) + ":" +
         std::to_string(where.line());
}
bool same(const Location& a, const Location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::strcmp(a.file_name(), b.file_name()) == 0;
}

struct Thread {
  explicit Thread(Fiber::Main main) : fiber(main) {}
  Fiber fiber;
  Index3 index;
  unsigned number = 0;
  uint64_t rank = 0;
  bool done = true;
  bool abandoned = false;  // left in the middle by an error
  const char* waiting = nullptr;
  Location where;
};

// Lanes that wait for each other.
struct Meeting {
  unsigned mask = 0, present = 0;
  const char* name = "";
  Location where;
  std::array<void*, kWarp> frames{};
};
struct Warp {
  unsigned alive = 0;
  std::vector<Meeting> meetings;
};
struct Gap {
  size_t offset = 0, bytes = 0;
};

class Runner {
 public:
  void run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel);

  void sync_threads(const Location& where);
  void meet(unsigned mask, const char* name, const Location& where, void* frame, Finish finish);
  // A fault: record() first, then stop(). The stacks of the block's threads are abandoned as they
  // are, so nothing that owns memory may live on them by then.
  void record(const std::string& message);
  [[noreturn]] void stop();
  std::byte* shared_array(size_t offset, size_t bytes);
  void wait_for_notice(const char* name, const Location& where);
  void notify();
  std::byte* shared_byte(size_t offset);
  size_t shared_offset(const void* p);
  [[nodiscard]] uint64_t block_number() const { return n_blocks_; }
  [[nodiscard]] unsigned lane() const { return current_->number % kWarp; }
  void thread_main();

 private:
  void prepare(dim3 block);
  void run_block();
  void check_gaps();
  [[nodiscard]] std::string deadlock() const;
  Meeting& find(Warp& warp, unsigned mask);
  uint64_t random();
  [[nodiscard]] bool lower(unsigned a, unsigned b) const {
    return threads_[a]->rank < threads_[b]->rank;
  }
  void push(unsigned thread);
  void wake(unsigned thread);
  void pause();  // goes on later, when its turn comes
  void wait(const char* name, const Location& where);
  void jump(Thread* to);  // null: back to run()
  Thread* next();

  std::vector<std::unique_ptr<Thread>> threads_;
  unsigned n_threads_ = 0, n_alive_ = 0;
  std::vector<Warp> warps_;
  std::vector<unsigned> ready_;
  std::vector<unsigned> at_barrier_;
  Location barrier_;
  std::vector<unsigned> for_notice_;
  uint64_t n_blocks_ = 0;
  Fiber main_;
  Thread* current_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  std::unique_ptr<std::byte, decltype(&std::free)> shared_{nullptr, &std::free};
  size_t shared_bytes_ = 0;
  std::vector<Gap> gaps_;
  std::string error_;
  uint64_t random_ = 1;
};

Runner& runner() {
  static Runner instance;
  return instance;
}
void thread_main() { runner().thread_main(); }

uint64_t Runner::random() {  // splitmix64
  uint64_t z = (random_ += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

void Runner::push(unsigned thread) {
  ready_.push_back(thread);
  std::push_heap(ready_.begin(), ready_.end(),
                 [this](unsigned a, unsigned b) { return lower(a, b); });
}
void Runner::wake(unsigned thread) {
  threads_[thread]->waiting = nullptr;
  push(thread);
}
void Runner::pause() {
  push(current_->number);
  jump(next());
}
void Runner::wait(const char* name, const Location& where) {
  current_->waiting = name;
  current_->where = where;
  jump(next());
}
Thread* Runner::next() {
  if (ready_.empty()) return nullptr;
  std::pop_heap(ready_.begin(), ready_.end(),
                [this](unsigned a, unsigned b) { return lower(a, b); });
  const unsigned best = ready_.back();
  ready_.pop_back();
  return threads_[best].get();
}
void Runner::jump(Thread* to) {
  Fiber& from = current_ == nullptr ? main_ : current_->fiber;
  if (to == current_) return;
  current_ = to;
  if (to != nullptr) threadIdx = to->index;
  Fiber::jump(from, to == nullptr ? main_ : to->fiber);
}

void Runner::record(const std::string& message) {
  error_ = message + " [thread " + std::to_string(current_->number) + ", block " +
           std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + "," +
           std::to_string(blockIdx.z) + "]";
}
void Runner::stop() {
  jump(nullptr);
  std::abort();
}

void Runner::thread_main() {
  for (;;) {
    (*kernel_)();
    Thread& self = *current_;
    Warp& warp = warps_[self.number / kWarp];
    const unsigned bit = 1U << (self.number % kWarp);
    for (const Meeting& m : warp.meetings) {
      if (m.present != 0 && (m.mask & bit) != 0) {
        record("a thread ends while lanes of its warp wait for it in " + text(m.name, m.where));
        stop();
      }
    }
    self.done = true;
    --n_alive_;
    warp.alive &= ~bit;
    jump(next());
  }
}

void Runner::sync_threads(const Location& where) {
  if (at_barrier_.empty()) barrier_ = where;
  if (!same(barrier_, where)) {
    record("threads of a block meet at different barriers: " + text("__syncthreads", where) +
           " and " + text("__syncthreads", barrier_));
    stop();
  }
  at_barrier_.push_back(current_->number);
  if (at_barrier_.size() < n_threads_) {  // threads that have ended never come: a deadlock
    wait("__syncthreads", where);
    return;
  }
  for (const unsigned thread : at_barrier_) {
    if (thread != current_->number) wake(thread);
  }
  at_barrier_.clear();
  pause();
}

Meeting& Runner::find(Warp& warp, unsigned mask) {
  for (Meeting& m : warp.meetings) {
    if (m.mask == mask) return m;
  }
  for (Meeting& m : warp.meetings) {
    if (m.present == 0) {
      m.mask = mask;
      return m;
    }
  }
  warp.meetings.emplace_back().mask = mask;
  return warp.meetings.back();
}

void Runner::meet(unsigned mask, const char* name, const Location& where, void* frame,
                  Finish finish) {
  Warp& warp = warps_[current_->number / kWarp];
  const unsigned bit = 1U << lane();
  if ((mask & bit) == 0) {
    record(text(name, where) + ": the calling lane is not in its mask");
    stop();
  }
  if ((mask & ~warp.alive) != 0) {
    record(text(name, where) + ": the mask names lanes that do not exist or have ended");
    stop();
  }
  Meeting& m = find(warp, mask);
  if (m.present == 0) {
    m.name = name;
    m.where = where;
  } else if (std::strcmp(m.name, name) != 0 || !same(m.where, where)) {
    record("lanes of a warp meet at different operations: " + text(name, where) + " and " +
           text(m.name, m.where));
    stop();
  }
  m.frames[lane()] = frame;
  m.present |= bit;
  if (m.present != mask) {
    wait(name, where);
    return;
  }
  finish(m.frames.data(), mask);
  m.present = 0;
  for (unsigned i = 0; i < kWarp; ++i) {
    if ((mask >> i & 1) != 0 && i != lane()) wake(current_->number / kWarp * kWarp + i);
  }
  pause();
}

std::byte* Runner::shared_array(size_t offset, size_t bytes) {
  if (offset + bytes + kGapBytes > shared_bytes_) {
    record("a shared array of " + std::to_string(bytes) + " bytes at " + std::to_string(offset) +
           " does not fit the " + std::to_string(shared_bytes_) + " bytes of the launch");
    stop();
  }
  std::byte* const start = shared_.get() + offset;
  const Gap gap{offset + bytes, kGapBytes};
  for (const Gap& known : gaps_) {
    if (known.offset == gap.offset) return start;
  }
  gaps_.push_back(gap);
  std::memset(start + bytes, kGapByte, kGapBytes);
#ifdef __SANITIZE_ADDRESS__
  __asan_poison_memory_region(start + bytes, kGapBytes);
#endif
  return start;
}

void Runner::wait_for_notice(const char* name, const Location& where) {
  for_notice_.push_back(current_->number);
  wait(name, where);
}
void Runner::notify() {
  for (const unsigned thread : for_notice_) wake(thread);
  for_notice_.clear();
}

std::byte* Runner::shared_byte(size_t offset) {
  if (offset >= shared_bytes_) {
    record("byte " + std::to_string(offset) + " is beyond the " + std::to_string(shared_bytes_) +
           " bytes of shared memory of the launch");
    stop();
  }
  return shared_.get() + offset;
}
size_t Runner::shared_offset(const void* p) {
  const auto* const at = static_cast<const std::byte*>(p);
  if (at < shared_.get() || at >= shared_.get() + shared_bytes_) {
    record("an address that is not of shared memory");
    stop();
  }
  return static_cast<size_t>(at - shared_.get());
}

void Runner::check_gaps() {
  for (const Gap& gap : gaps_) {
    const std::byte* const start = shared_.get() + gap.offset;
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(start, gap.bytes);
#endif
    for (size_t i = 0; i < gap.bytes; ++i) {
      if (start[i] != std::byte{kGapByte} && error_.empty()) {
        error_ = "something was written beyond the shared array that ends at byte " +
                 std::to_string(gap.offset);
      }
    }
  }
  gaps_.clear();
}

std::string Runner::deadlock() const {
  const Thread* first = nullptr;
  unsigned here = 0, elsewhere = 0;
  for (unsigned i = 0; i < n_threads_; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.done) continue;
    if (first == nullptr) first = &thread;
    ++(same(thread.where, first->where) ? here : elsewhere);
  }
  return "deadlock: " + std::to_string(here) + " threads wait in " +
         text(first->waiting, first->where) + ", " + std::to_string(elsewhere) +
         " wait elsewhere, " + std::to_string(n_threads_ - n_alive_) + " have ended";
}

void Runner::prepare(dim3 block) {
  while (threads_.size() < n_threads_) {
    threads_.push_back(std::make_unique<Thread>(&cuda_emulation::thread_main));
    threads_.back()->number = static_cast<unsigned>(threads_.size() - 1);
  }
  for (unsigned i = 0; i < n_threads_; ++i) {
    Thread& thread = *threads_[i];
    if (thread.abandoned) thread.fiber.reset();
    thread.abandoned = false;
    thread.index = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
  }
  warps_.resize((n_threads_ + kWarp - 1) / kWarp);
}

void Runner::run_block() {
  std::memset(shared_.get(), 0xff, shared_bytes_);
  ready_.clear();
  at_barrier_.clear();
  for_notice_.clear();
  ++n_blocks_;
  error_.clear();
  n_alive_ = n_threads_;
  for (Warp& warp : warps_) {
    warp.alive = 0;
    warp.meetings.clear();
    warp.meetings.reserve(kWarp + 1);  // frames are pointed to while lanes wait
  }
  uint64_t warp_rank = 0;
  for (unsigned i = 0; i < n_threads_; ++i) {
    Thread& thread = *threads_[i];
    thread.done = false;
    thread.waiting = nullptr;
    warps_[i / kWarp].alive |= 1U << (i % kWarp);
    if (i % kWarp == 0) warp_rank = random() << 32;
    switch (options().order) {
      case Order::kAscending:
        thread.rank = n_threads_ - i;
        break;
      case Order::kDescending:
        thread.rank = i;
        break;
      case Order::kPriority:
        thread.rank = warp_rank | (random() >> 32);
        break;
    }
    push(i);
  }
  jump(next());
  const bool stuck = n_alive_ > 0;
  if (stuck && error_.empty()) error_ = deadlock();
  for (unsigned i = 0; stuck && i < n_threads_; ++i) threads_[i]->abandoned = true;
  check_gaps();
  if (!error_.empty()) throw Error(error_);
}

void Runner::run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel) {
  n_threads_ = block.x * block.y * block.z;
  if (n_threads_ == 0 || n_threads_ > 1024) throw Error("launch: bad block size");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) {
    throw Error("launch: bad grid size");
  }
  if (shared_bytes > kMaxShared) throw Error("launch: too much shared memory");
  shared_bytes_ = shared_bytes;
  shared_.reset(static_cast<std::byte*>(
      std::aligned_alloc(1024, (shared_bytes + 1024) / 1024 * 1024)));  // never of size 0
  kernel_ = &kernel;
  blockDim = block;
  gridDim = grid;
  random_ = options().seed * 7919 + 1;
  prepare(block);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block();
      }
    }
  }
}

}  // namespace

Options& options() {
  static Options instance;
  return instance;
}
namespace {
size_t n_launches = 0;
}  // namespace
size_t launch_count() { return n_launches; }

void run_grid(Index grid, Index block, size_t shared_bytes, const std::function<void()>& kernel) {
  ++n_launches;
  runner().run({grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes, kernel);
}
unsigned lane() { return runner().lane(); }
void sync_threads(const Location& where) { runner().sync_threads(where); }
void meet(unsigned mask, const char* name, const Location& where, void* frame, Finish finish) {
  runner().meet(mask, name, where, frame, finish);
}
void fail(const char* message) {
  runner().record(message);
  runner().stop();
}
std::byte* shared_array(size_t offset, size_t bytes) {
  return runner().shared_array(offset, bytes);
}

void wait_for_notice(const char* name, const Location& where) {
  runner().wait_for_notice(name, where);
}
void notify() { runner().notify(); }
std::byte* shared_byte(size_t offset) { return runner().shared_byte(offset); }
size_t shared_offset(const void* p) { return runner().shared_offset(p); }
uint64_t block_number() { return runner().block_number(); }

}  // namespace cuda_emulation
